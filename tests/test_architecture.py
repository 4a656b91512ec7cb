"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "deploy" / "requirements"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_P90_FILE_LINES = 250
BAD_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
HARMLESS = {"nvidia-ml-py"}  # pure Python: it asks the driver which GPUs there are


def sources(*folders: str) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not {"node_modules", "__pycache__"} & set(path.parts) and "_pb2" not in path.name
    ]


def num_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def pins(name: str) -> dict[str, set[str]]:
    """Versions by package; more than one where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9._-]+)==(\S+)", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


def settings_modules() -> Iterator[str]:
    for path in sources("services"):
        if path.name == "settings.py" or path == ROOT / "services" / "__main__.py":
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def environment_names() -> set[str]:
    return {
        f"{kind.model_config.get('env_prefix', '')}{field}".upper()
        for module in settings_modules()
        for kind in vars(importlib.import_module(module)).values()
        if isinstance(kind, type) and issubclass(kind, BaseSettings)
        for field in kind.model_fields
    }


def test_services_import_only_what_they_may() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_long() -> None:
    long = {str(p.relative_to(ROOT)): num_lines(p) for p in sources("services", "tests")}
    assert {name: lines for name, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_most_files_are_short() -> None:
    lengths = [n for path in sources("services") if (n := num_lines(path))]
    assert statistics.quantiles(lengths, n=10, method="inclusive")[-1] < MAX_P90_FILE_LINES


def test_no_function_is_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1}"
        for path in sources("services", "tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_modules_are_named_after_what_they_hold() -> None:
    bad = [path for path in sources("services") if BAD_NAMES & {path.stem, path.parent.name}]
    assert bad == []


def test_requirement_files_name_no_place() -> None:
    place = re.compile(
        r"://|\bwww\.|\.(org|com|net|io)\b|(^|[\s=@])(/|~|\.\.?/)|\bfile:"
        r"|^\s*(-i|-f|--index|--extra-index|--find-links)",
        re.MULTILINE,
    )
    found = {path.name: place.search(path.read_text()) for path in REQUIREMENTS.iterdir()}
    assert {name: match.group() for name, match in found.items() if match} == {}


def test_every_requirement_has_a_hash() -> None:
    for path in REQUIREMENTS.glob("*.txt"):
        for requirement in re.split(r"^(?=[a-z])", path.read_text(), flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in requirement, f"{path.name}: {requirement}"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_files_of_one_environment_agree(device: str) -> None:
    slim, torch, dev = pins("slim"), pins(f"torch-{device}"), pins("dev")
    for one, other in ((slim, torch), (slim, dev), (torch, dev)):
        # A package that is needed on one Python version only is in one file with fewer versions.
        differing = {
            name: (one[name], other[name])
            for name in one.keys() & other.keys()
            if not one[name] & other[name]
        }
        assert differing == {}


def test_slim_images_hold_no_torch() -> None:
    heavy = {"accelerate", "numpy", "peft", "tokenizers", "torch", "transformers", "triton"}
    found = {n for n in pins("slim") if n in heavy or n.startswith(("nvidia-", "vllm"))}
    assert found <= HARMLESS


def test_cpu_hosts_get_no_cuda() -> None:
    heavy = {"torch", "torchaudio", "torchcodec", "torchvision", "triton", "vllm"}
    found = {n for n in pins("torch-cpu") if n in heavy or n.startswith(("nvidia-", "cuda-"))}
    assert found <= HARMLESS


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", (ROOT / "docs/operations.md").read_text()))
    assert environment_names() - documented == set()
