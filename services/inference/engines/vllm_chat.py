"""vLLM's own parsers of reasoning and tool calls, for the chats of one model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import ValidationError
from vllm import SamplingParams
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.exceptions import VLLMClientError
from vllm.parser.parser_manager import ParserManager

from services.cluster.errors import BadRequest, EngineUnavailable
from services.inference.engines.chat import ChatOptions, ToolCallDelta, ToolChoice
from services.inference.engines.chat_told import ToldSoFar
from services.inference.engines.generation import Delta, FinishReason

log = logging.getLogger(__name__)

_MAX_SPACE = 32  # characters: enough to indent
_HARMONY = "gpt_oss"  # the only model type whose answers are read as tokens of that format


class ChatParsers:
    """`tokenizer` is the one of transformers that vLLM uses, `model_config` vLLM's or None."""

    def __init__(
        self, tool_parser: str, reasoning_parser: str, tokenizer: Any, model_config: Any = None
    ) -> None:
        """Raises EngineUnavailable for names or a tokenizer that do not fit."""
        self._tokenizer = tokenizer
        self._model_config = model_config
        try:
            self._parser_class = ParserManager.get_parser(
                tool_parser_name=tool_parser or None,
                reasoning_parser_name=reasoning_parser or None,
                enable_auto_tools=True,
                is_harmony=_model_type(model_config) == _HARMONY,
                tokenizer=tokenizer,
            )
        except TypeError as error:
            raise EngineUnavailable(
                f"vLLM has no such parsers for this model: tools {tool_parser!r}, reasoning"
                f" {reasoning_parser!r}: {error}."
            ) from error

    def open(
        self, chat: ChatOptions, sampling: SamplingParams, prompt_token_ids: Sequence[int]
    ) -> ChatReader | None:
        """Reads one answer; None without parsers. Changes `sampling` to what the parsers need.

        Raises BadRequest for tools that are none.
        """
        if self._parser_class is None:
            return None
        request = _request(chat, sampling)
        new_parser = partial(
            self._parser_class,
            self._tokenizer,
            request.tools,
            model_config=self._model_config,
            chat_template_kwargs=dict(chat.template_options),
        )
        try:
            request = new_parser().adjust_request(request)
            sampling.structured_outputs = _bounded(request.extract_structured_outputs())
        except (ValueError, VLLMClientError) as error:
            raise BadRequest(f"The model cannot be held to these tools: {error}.") from error
        sampling.skip_special_tokens = request.skip_special_tokens
        return ChatReader(new_parser, request, chat, prompt_token_ids)


class ChatReader:
    """Reads one answer as it comes.

    Some of vLLM's parsers lose parts of what comes in deltas of many tokens, or at the end of an
    answer; the whole answer they read well. So it is read again when it has ended, and what is
    missing is added.
    """

    def __init__(
        self,
        new_parser: Callable[[], Any],
        request: Any,
        chat: ChatOptions,
        prompt_token_ids: Sequence[int],
    ) -> None:
        self._new_parser = new_parser
        self._parser = new_parser()
        self._request = request
        self._chat = chat
        self._prompt_token_ids = list(prompt_token_ids)
        self._said = ""
        self._told = ToldSoFar()
        self._is_lost = False

    @property
    def engine_arguments(self) -> dict[str, Any]:
        """For AsyncLLM.generate: a form holds from the end of the reasoning on."""
        if self._parser.reasoning_parser is None:
            return {}
        ended = self._request.resolve_reasoning_ended(self._parser, self._prompt_token_ids)
        options = {"chat_template_kwargs": dict(self._chat.template_options)}
        return {"reasoning_ended": ended, "reasoning_parser_kwargs": options}

    def read(self, delta: Delta) -> Delta:
        """The same tokens; their text parted in text, reasoning and calls."""
        self._said += delta.text
        message = None if self._is_lost else self._parsed(delta)
        found = replace(
            delta,
            text=(message.content or "") if message else "",
            reasoning=(message.reasoning or "") if message else "",
            tool_calls=self._calls(message.tool_calls) if message else [],
        )
        self._told.add(found)
        finish = delta.finish
        if finish is None:
            return found
        if self._reads_again:
            found = self._completed(found)
        if finish.reason is FinishReason.STOP and self._told.calls:
            finish = replace(finish, reason=FinishReason.TOOL_CALLS)
        return replace(found, finish=finish)

    def _parsed(self, delta: Delta) -> Any:
        try:
            return self._parser.parse_delta(
                delta_text=delta.text,
                delta_token_ids=list(delta.token_ids),
                request=self._request,
                prompt_token_ids=self._prompt_token_ids,
                finished=delta.finish is not None,
            )
        # What a model may say has no limits, and so what its parser may raise.
        except Exception as error:  # noqa: BLE001
            _log_lost(error)
            self._is_lost = True
            return None

    @property
    def _reads_again(self) -> bool:
        return self._is_lost or self._parser.tool_parser is not None

    def _completed(self, last: Delta) -> Delta:
        """With what was not told of the whole answer."""
        try:
            _, text, calls = self._new_parser().parse(
                self._said, self._request, enable_auto_tools=True
            )
        except Exception as error:  # noqa: BLE001 the same
            _log_lost(error)
            text, calls = (None, None) if self._told.anything else (self._said, None)
        rest = Delta(
            text=self._told.rest_of_text(text or ""),
            tool_calls=self._limited(self._told.rest_of_calls(calls or ())),
        )
        self._told.add(rest)
        return replace(
            last, text=last.text + rest.text, tool_calls=[*last.tool_calls, *rest.tool_calls]
        )

    def _calls(self, found: Sequence[Any]) -> list[ToolCallDelta]:
        return self._limited(
            ToolCallDelta(
                index=call.index,
                call_id=call.id or "",
                name=(call.function.name or "") if call.function else "",
                arguments=self._arguments(call),
            )
            for call in found
        )

    def _arguments(self, call: Any) -> str:
        """vLLM's mistral parser leaves the colon before an object that one delta brings with it."""
        arguments = (call.function.arguments or "") if call.function else ""
        told = self._told.calls.get(call.index)
        return arguments if told and told.arguments else arguments.lstrip(": \n")

    def _limited(self, calls: Iterable[ToolCallDelta]) -> list[ToolCallDelta]:
        return [call for call in calls if self._chat.parallel_tool_calls or call.index == 0]


def _log_lost(error: Exception) -> None:
    """Without the error's text, which may be what the model said."""
    log.error("a parser cannot read an answer", extra={"reason": type(error).__name__})


def _model_type(model_config: Any) -> str:
    return str(model_config.hf_config.model_type) if model_config else ""


def _bounded(found: Any) -> Any:
    """vLLM's structured output of calls, in which space between two values has an end.

    Where any space is allowed small models may say nothing else until their context is full.
    """
    if found is None or not found.structural_tag:
        return found
    tag = json.loads(found.structural_tag)
    _bound_space(tag)
    return replace(found, structural_tag=json.dumps(tag))


def _bound_space(part: Any) -> None:
    if isinstance(part, dict):
        if part.get("type") == "json_schema":
            part["max_whitespace_cnt"] = _MAX_SPACE
            return
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        _bound_space(each)


def _held(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """With a schema that binds the model, unless the tool says that it does not.

    To vLLM it does only where the tool says so: a model that has to call then writes anything.
    """
    function = tool.get("function")
    if not isinstance(function, Mapping) or function.get("strict") is not None:
        return tool
    return {**tool, "function": {**function, "strict": True}}


def _request(chat: ChatOptions, sampling: SamplingParams) -> Any:
    """What vLLM's parsers look at of a request of its HTTP server. Raises BadRequest."""
    choice: Any = chat.tool_choice.value if chat.tools else "none"
    if chat.tool_choice is ToolChoice.NAMED:
        choice = {"type": "function", "function": {"name": chat.tool_name}}
    try:
        return ChatCompletionRequest(
            messages=[{"role": "user", "content": ""}],
            stream=True,
            tools=[_held(tool) if chat.forces_a_call else tool for tool in chat.tools] or None,
            tool_choice=choice,
            parallel_tool_calls=chat.parallel_tool_calls,
            structured_outputs=sampling.structured_outputs,
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"tools is wrong at {place}: {first['msg']}.", param="tools") from error
    except (ValueError, VLLMClientError) as error:
        raise BadRequest(f"{error}".rstrip(".") + ".", param="tools") from error
