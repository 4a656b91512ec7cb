"""The starter model once more, with what it lacks to call tools: a template and a parser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients.drawn_tool import DrawnTool
from tests.e2e.clients.engine_counters import EngineCounters
from tests.e2e.clients.reference import Reference
from tests.e2e.hosting import hosted
from tests.e2e.running import ROOT, Cluster

STARTER = ROOT / "services" / "inference" / "starter"
# Hermes' form, as Qwen2.5 has it.
TEMPLATE = """\
{%- if tools %}
<|im_start|>system
Tools:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}
<|im_start|>{{ message.role }}
{% if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@dataclass(frozen=True)
class ToolModel:
    """A hosted model with a tool parser, its engine's counters, and what transformers says."""

    name: str
    counters: EngineCounters
    reference: Reference


@pytest.fixture(scope="package")
def tool_model(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolModel]:
    folder = copied(tmp_path_factory.mktemp("tool-model"))
    added = {"chat_template": TEMPLATE, "tool_parser": "hermes"}
    with hosted(cluster, "tool-model", folder, **added) as deployment_id:
        counters = EngineCounters.of_deployment(cluster, deployment_id)
        yield ToolModel("tool-model", counters, Reference(folder, TEMPLATE))


@pytest.fixture
def tool() -> DrawnTool:
    return DrawnTool.draw()


def copied(folder: Path) -> Path:
    """Without the starter's own template, which would be read where another was given."""
    for name in (
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ):
        shutil.copy(STARTER / name, folder)
    return folder
