from __future__ import annotations

import pytest

from services.inference.models.architectures import Architectures
from services.inference.models.parsers import REASONING, TOOLS, parser_of, parser_rules


def test_every_rule_names_a_parser_and_types_that_there_are() -> None:
    known = Architectures.load()
    for rule in parser_rules():
        parsers = known.tool_parsers if rule.of == TOOLS else known.reasoning_parsers
        assert rule.of in (TOOLS, REASONING)
        assert rule.parser in parsers
        assert set(rule.model_types) <= known.model_types


@pytest.mark.parametrize(
    ("of", "model_type", "template", "parser"),
    [
        (TOOLS, "qwen3_moe", "<tool_call>\n<function=name>", "qwen3_coder"),
        (TOOLS, "qwen3_moe", "<tool_call>\n{", "hermes"),
        (TOOLS, "qwen2", "<tool_call>", "hermes"),
        (TOOLS, "qwen2", "nothing of the kind", ""),
        (TOOLS, "llama", "Environment: ipython", "llama3_json"),
        (TOOLS, "llama", "[INST]", ""),
        (TOOLS, "gpt_oss", "anything", "openai"),
        (TOOLS, "gpt_oss", "", ""),
        (TOOLS, "no_such_type", "<tool_call>", ""),
        (REASONING, "qwen3", "<think>", "qwen3"),
        (REASONING, "qwen3_moe", "no thoughts", ""),
        (REASONING, "gpt_oss", "anything", "openai_gptoss"),
    ],
)
def test_a_parser_by_model_type_and_template(
    of: str, model_type: str, template: str, parser: str
) -> None:
    assert parser_of(of, model_type, template) == parser
