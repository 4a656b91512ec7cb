"""Chats: messages as templates expect them, and what a chat asks of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.cluster.errors import BadRequest, PayloadTooLarge
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.engines.chat import ChatOptions, ToolChoice

_MAX_IMAGES = 16
_MAX_IMAGE_BYTES = 8 * 1024 * 1024
_CHOICES = {
    pb.TOOL_CHOICE_UNSPECIFIED: ToolChoice.AUTO,
    pb.TOOL_CHOICE_AUTO: ToolChoice.AUTO,
    pb.TOOL_CHOICE_NONE: ToolChoice.NONE,
    pb.TOOL_CHOICE_REQUIRED: ToolChoice.REQUIRED,
}


def to_options(message: pb.Chat, *, has_tool_parser: bool) -> ChatOptions:
    """Raises BadRequest naming the field in `param`. Without a parser no call can be forced."""
    tools = _tools(message.tools_json)
    choice = ToolChoice.NAMED if message.tool_name else _choice(message.tool_choice)
    options = ChatOptions(
        tools=() if choice is ToolChoice.NONE else tools,
        tool_choice=choice,
        tool_name=message.tool_name,
        parallel_tool_calls=not message.HasField("parallel_tool_calls")
        or message.parallel_tool_calls,
        template_options=_template_options(message.chat_template_kwargs_json),
    )
    if options.forces_a_call:
        _check_forced(options, has_tool_parser)
    return options


def _choice(number: pb.ToolChoice.ValueType) -> ToolChoice:
    if number not in _CHOICES:
        raise BadRequest(f"tool_choice {number} is unknown to this replica.", param="tool_choice")
    return _CHOICES[number]


def _check_forced(options: ChatOptions, has_tool_parser: bool) -> None:
    if not has_tool_parser:
        raise BadRequest(
            "This model has no tool parser, so no call can be required of it; use auto or none.",
            param="tool_choice",
        )
    names = [_name(tool) for tool in options.tools]
    if not names:
        raise BadRequest("tool_choice requires a call, but there are no tools.", param="tools")
    if options.tool_name and options.tool_name not in names:
        raise BadRequest(
            f"tool_choice names {options.tool_name!r}, which is none of the tools"
            f" ({', '.join(names)}).",
            param="tool_choice",
        )


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    return str(function.get("name", "")) if isinstance(function, Mapping) else ""


def _tools(tools_json: str) -> list[Mapping[str, Any]]:
    if not tools_json:
        return []
    try:
        tools = json.loads(tools_json)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"tools is not JSON: {error}.", param="tools") from error
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadRequest("tools must be a list of objects.", param="tools")
    return tools


def _template_options(text: str) -> dict[str, Any]:
    param = "chat_template_kwargs"
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{param} is not JSON: {error}.", param=param) from error
    if not isinstance(found, dict):
        raise BadRequest(f"{param} must be an object.", param=param)
    return found


def chat_messages(messages: Sequence[pb.ChatMessage]) -> list[dict[str, Any]]:
    """As chat templates expect them."""
    return [_chat_message(message) for message in messages]


def _chat_message(message: pb.ChatMessage) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.reasoning:  # templates know it by either name
        found["reasoning"] = found["reasoning_content"] = message.reasoning
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    if message.name:
        found["name"] = message.name
    return found


def _content(message: pb.ChatMessage) -> str | list[dict[str, str]]:
    """A list only where there are images: many templates know nothing but text."""
    kinds = [part.WhichOneof("part") for part in message.parts]
    if "image" not in kinds:
        return message.content or "".join(part.text for part in message.parts)
    return [
        {"type": "image"} if kind == "image" else {"type": "text", "text": part.text}
        for kind, part in zip(kinds, message.parts, strict=True)
    ]


def images(messages: Sequence[pb.ChatMessage], *, takes_images: bool) -> list[bytes]:
    """The files, in order. Raises BadRequest or PayloadTooLarge."""
    found = [
        part.image
        for message in messages
        for part in message.parts
        if part.WhichOneof("part") == "image"
    ]
    if found and not takes_images:
        raise BadRequest("This model takes no images: send text only.", param="messages")
    if len(found) > _MAX_IMAGES:
        raise BadRequest(
            f"The chat has {len(found)} images; {_MAX_IMAGES} are allowed.", param="messages"
        )
    if (largest := max(map(len, found), default=0)) > _MAX_IMAGE_BYTES:
        raise PayloadTooLarge(
            f"An image has {largest} bytes; {_MAX_IMAGE_BYTES} are allowed.", param="messages"
        )
    return found


def _arguments(text: str) -> object:
    """Chat templates expect an object and write it as JSON themselves; a string they would quote.

    What a model wrote that is no JSON stays as it is.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text
