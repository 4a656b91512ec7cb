"""architectures.json is what the installed vLLM says, by its sources and by its classes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.inference.engines.environment import engine_environment
from services.inference.models import architectures
from services.inference.models.architectures import Kind
from services.inference.models.vllm_registry import document

TABLE = Path(architectures.__file__).with_name("architectures.json")
# What is under vllm.models chooses its class by the processor, so a machine without GPU has others.
CLASSES = """
import json, sys
from vllm.model_executor.models.interfaces import supports_lora, supports_pp
from vllm.model_executor.models.registry import ModelRegistry
found = {}
for name, model in ModelRegistry.models.items():
    if model.module_name.startswith("vllm.models."):
        continue
    try:
        cls = model.load_model_cls()
        found[name] = [bool(supports_lora(cls)), bool(supports_pp(cls))]
    except ImportError:
        pass
json.dump(found, sys.stdout)
"""


@pytest.mark.slow
def test_the_table_is_not_stale() -> None:
    assert json.loads(TABLE.read_text(encoding="utf-8")) == document()


@pytest.mark.slow
def test_the_classes_say_the_same_of_adapters_and_stages() -> None:
    """Of those that this machine can import."""
    environment = engine_environment("cpu", [], 1)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLASSES],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    classes: dict[str, list[bool]] = json.loads(done.stdout.splitlines()[-1])
    table = architectures.Architectures.load().by_name.values()
    both = [a for a in table if a.kind is not Kind.DRAFT and a.name in classes]
    assert len(both) > 150
    assert {a.name: classes[a.name][0] for a in both} == {a.name: a.has_lora for a in both}
    generate = [a for a in both if a.kind in (Kind.GENERATE, Kind.MULTIMODAL)]
    assert {a.name: classes[a.name][1] for a in generate} == {
        a.name: a.can_pipeline for a in generate
    }
