"""Messages of a chat as OpenAI has them: text, images, calls of tools and what came of them."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb


class TextPart(BaseModel):
    type: Literal["text"]
    text: str

    def to_proto(self) -> pb.ContentPart:
        return pb.ContentPart(text=self.text)


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    refusal: str

    def to_proto(self) -> pb.ContentPart:
        return pb.ContentPart(text=self.refusal)


class ImageUrl(BaseModel):
    url: str


class ImagePart(BaseModel):
    """An image within the request: `data:image/png;base64,...`."""

    type: Literal["image_url"]
    image_url: ImageUrl

    def to_proto(self) -> pb.ContentPart:
        return pb.ContentPart(image=image_of(self.image_url.url))


Part = Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]


class FunctionCall(BaseModel):
    name: str = ""
    arguments: str = ""


class AssistantToolCall(BaseModel):
    id: str = ""
    function: FunctionCall = FunctionCall()


class Message(BaseModel):
    """`content` may be a list of parts."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[AssistantToolCall] | None = None

    def to_proto(self) -> pb.ChatMessage:
        role = {"developer": "system", "function": "tool"}.get(self.role, self.role)
        message = pb.ChatMessage(
            role=role,
            name=self.name or "",
            tool_call_id=self.tool_call_id or "",
            tool_calls=[
                pb.ToolCall(id=c.id, name=c.function.name, arguments=c.function.arguments)
                for c in self.tool_calls or []
            ],
        )
        if isinstance(self.content, list):
            message.parts.extend(part.to_proto() for part in self.content)
        else:
            message.content = self.content or ""
        return message


def image_of(url: str, param: str = "messages") -> bytes:
    """The file in a data URL. Raises BadRequest, also for another URL: nothing is fetched."""
    head, comma, data = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise BadRequest(
            "An image must be within the request, as data:image/png;base64,...: Hearth fetches"
            " nothing from elsewhere.",
            param=param,
        )
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise BadRequest(f"An image is no base64: {error}.", param=param) from None
