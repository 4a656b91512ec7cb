"""The slim services run on what their image holds, which is less than a development machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = ROOT / ".boot" / "bin" / "uv"
IMPORT_ALL = """
import importlib, importlib.util, pkgutil
for name in ("services.cluster", "services.datascan", "services.gateway", "services.webui"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
importlib.import_module("services.gateway.app")
importlib.import_module("services.webui.app")
present = [name for name in ("torch", "transformers", "numpy") if importlib.util.find_spec(name)]
assert not present, present
"""

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not UV.exists(), reason="uv is not in .boot: `make setup` puts it there")
def test_slim_services_need_only_slim_packages(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "venv", "--python", sys.executable, tmp_path / "venv")
    run(UV, "pip", "sync", "--python", python, "--require-hashes", "deploy/requirements/slim.txt")
    run(python, "-c", IMPORT_ALL)
