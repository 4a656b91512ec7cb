"""vLLM's own parsers on what models of their families say, token by token and in larger parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from services.cluster.errors import BadRequest, EngineUnavailable
from services.inference.engines.chat import ChatOptions, ToolChoice
from services.inference.engines.generation import Delta, Finish, FinishReason
from tests.contracts import engines
from tests.inference.tiny_tokenizer import write_tokenizer

pytestmark = pytest.mark.slow  # importing vLLM takes a quarter of a minute

TOKENS = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<|python_tag|>",
    "[TOOL_CALLS]",
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "count": {"type": "integer"}},
            },
        },
    }
    for name in ("look", "write")
]
CALL = {"place": "over there", "count": 3}


class Models:
    """Parsers of models that differ in nothing else, and what they make of an answer."""

    def __init__(self, folder: Path) -> None:
        self.vllm_chat = import_module("services.inference.engines.vllm_chat")
        self.sampling_params: Any = import_module("vllm").SamplingParams
        write_tokenizer(folder, *TOKENS)
        transformers = import_module("transformers")
        self.tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|endoftext|>"
        )

    def parsers(self, tool_parser: str, reasoning_parser: str) -> Any:
        return self.vllm_chat.ChatParsers(tool_parser, reasoning_parser, self.tokenizer)

    def read(self, case: Case, chat: ChatOptions, size: int) -> Heard:
        """The answer in deltas of `size` tokens."""
        parsers = self.parsers(case.tool_parser, case.reasoning_parser)
        parameters = self.sampling_params()
        prompt = self.tokenizer.encode(case.prompt)
        reader = parsers.open(chat, parameters, prompt)
        token_ids = self.tokenizer.encode(case.said)
        heard = Heard()
        for start in range(0, len(token_ids), size):
            part = token_ids[start : start + size]
            text = self.tokenizer.decode(part, skip_special_tokens=parameters.skip_special_tokens)
            last = start + size >= len(token_ids)
            finish = Finish(FinishReason.STOP, "", len(prompt), len(token_ids), 0)
            heard.add(reader.read(Delta(part, text, finish=finish if last else None)))
        return heard


class Heard:
    def __init__(self) -> None:
        self.num_tokens = 0
        self.text = self.reasoning = ""
        self.ids: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self.finish: Finish | None = None

    def add(self, delta: Delta) -> None:
        self.num_tokens += len(delta.token_ids)
        self.text += delta.text
        self.reasoning += delta.reasoning
        for call in delta.tool_calls:
            if call.name:
                assert call.index == len(self.calls)
                self.ids.append(call.call_id)
                self.calls.append((call.name, ""))
            name, arguments = self.calls[call.index]
            self.calls[call.index] = (name, arguments + call.arguments)
        self.finish = delta.finish

    @property
    def read_calls(self) -> list[tuple[str, Any]]:
        return [(name, json.loads(arguments)) for name, arguments in self.calls]


@dataclass(frozen=True)
class Case:
    said: str
    tool_parser: str = ""
    reasoning_parser: str = ""
    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    prompt: str = "hi"


def hermes_call(name: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(CALL)}}}\n</tool_call>'


CODER_CALL = (
    "<tool_call>\n<function=look>\n<parameter=place>\nover there\n</parameter>\n"
    "<parameter=count>\n3\n</parameter>\n</function>\n</tool_call>"
)
CASES = {
    "hermes": Case(
        "I look.\n" + hermes_call("look") + "\n" + hermes_call("write"),
        "hermes",
        text="I look.",
        calls=[("look", CALL), ("write", CALL)],
    ),
    "hermes without a call": Case("a < b <tool", "hermes", text="a < b <tool"),
    "qwen3_coder": Case(
        "I look.\n" + CODER_CALL, "qwen3_coder", text="I look.", calls=[("look", CALL)]
    ),
    "llama3_json": Case(
        json.dumps({"name": "look", "parameters": CALL}), "llama3_json", calls=[("look", CALL)]
    ),
    "mistral": Case(
        "[TOOL_CALLS]" + json.dumps([{"name": "look", "arguments": CALL}]),
        "mistral",
        calls=[("look", CALL)],
    ),
    "deepseek_r1": Case(
        "well, so</think>yes", reasoning_parser="deepseek_r1", text="yes", reasoning="well, so"
    ),
    "qwen3 and hermes": Case(
        "<think>so</think>yes " + hermes_call("look"),
        "hermes",
        "qwen3",
        text="yes",
        reasoning="so",
        calls=[("look", CALL)],
    ),
    "qwen3 and qwen3_coder": Case(
        "so</think>" + CODER_CALL,
        "qwen3_coder",
        "qwen3",
        reasoning="so",
        calls=[("look", CALL)],
        prompt="hi<think>",
    ),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    with engines.environment():
        with engines.warnings_of_vllm():
            models = Models(tmp_path_factory.mktemp("models"))
        yield models


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_answer_is_parted(models: Models, case: Case, size: int) -> None:
    heard = models.read(case, ChatOptions(TOOLS if case.tool_parser else ()), size)
    assert heard.text.strip() == case.text
    assert heard.reasoning.strip() == case.reasoning
    assert heard.read_calls == list(case.calls)
    assert all(heard.ids)
    assert len(set(heard.ids)) == len(case.calls)
    assert heard.num_tokens == len(models.tokenizer.encode(case.said))
    assert heard.finish is not None
    wanted = FinishReason.TOOL_CALLS if case.calls else FinishReason.STOP
    assert heard.finish.reason is wanted


def test_one_call_at_most(models: Models) -> None:
    chat = ChatOptions(TOOLS, parallel_tool_calls=False)
    assert models.read(CASES["hermes"], chat, 1).read_calls == [("look", CALL)]


def test_without_tools_a_call_is_text(models: Models) -> None:
    heard = models.read(CASES["hermes"], ChatOptions(), 1)
    assert heard.text == CASES["hermes"].said
    assert heard.finish is not None
    assert heard.finish.reason is FinishReason.STOP


def test_thinking_that_is_switched_off_is_no_reasoning(models: Models) -> None:
    case = Case("yes", reasoning_parser="qwen3", prompt="hi<think>\n\n</think>\n\n")
    chat = ChatOptions(template_options={"enable_thinking": False})
    heard = models.read(case, chat, 1)
    assert (heard.text, heard.reasoning) == ("yes", "")


def test_a_forced_call_holds_the_sampling(models: Models) -> None:
    for chat in (
        ChatOptions(TOOLS, ToolChoice.REQUIRED),
        ChatOptions(TOOLS, ToolChoice.NAMED, "look"),
    ):
        parameters = models.sampling_params()
        models.parsers("hermes", "").open(chat, parameters, [1])
        assert parameters.structured_outputs is not None
    parameters = models.sampling_params()
    models.parsers("hermes", "").open(ChatOptions(TOOLS), parameters, [1])
    assert parameters.structured_outputs is None


def test_a_forced_call_is_held_to_its_schema_unless_the_tool_is_not_strict(models: Models) -> None:
    def held(choice: ToolChoice, **more: Any) -> bool:
        functions: list[Any] = [tool["function"] for tool in TOOLS]
        tools = [{"type": "function", "function": {**each, **more}} for each in functions]
        parameters = models.sampling_params()
        models.parsers("hermes", "").open(ChatOptions(tools, choice, "look"), parameters, [1])
        return "integer" in str(parameters.structured_outputs)

    assert held(ToolChoice.REQUIRED)
    assert held(ToolChoice.NAMED)
    assert held(ToolChoice.NAMED, strict=None)
    assert held(ToolChoice.AUTO, strict=True)
    assert not held(ToolChoice.NAMED, strict=False)
    assert not held(ToolChoice.AUTO)


def test_space_in_a_forced_call_has_an_end(models: Models) -> None:
    """Held against the grammar that vLLM compiles of it."""
    xgrammar = import_module("xgrammar")
    parameters = models.sampling_params()
    chat = ChatOptions(TOOLS, ToolChoice.NAMED, "look")
    models.parsers("hermes", "").open(chat, parameters, [1])
    info = xgrammar.TokenizerInfo.from_huggingface(models.tokenizer)
    tag = parameters.structured_outputs.structural_tag
    grammar = xgrammar.GrammarCompiler(info).compile_structural_tag(tag)

    def allows(space: str) -> bool:
        said = (
            f'<tool_call>\n{{"name": "look", "arguments": {{{space}"place": "a"}}}}\n</tool_call>'
        )
        return bool(xgrammar.GrammarMatcher(grammar).accept_string(said))

    assert allows("")
    assert allows("\n" + 16 * " ")
    assert not allows(100 * " ")


def test_without_parsers_nothing_is_read(models: Models) -> None:
    parameters = models.sampling_params()
    assert models.parsers("", "").open(ChatOptions(TOOLS), parameters, [1]) is None


def test_what_is_unknown_is_refused(models: Models) -> None:
    for names in (("nonsense", ""), ("", "nonsense")):
        with pytest.raises(EngineUnavailable, match="nonsense"):
            models.parsers(*names)
    with pytest.raises(BadRequest, match="name") as refused:
        models.parsers("hermes", "").open(
            ChatOptions([{"type": "function", "function": {}}]), models.sampling_params(), [1]
        )
    assert refused.value.param == "tools"
