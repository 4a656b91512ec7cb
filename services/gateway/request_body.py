"""Bodies of requests, read within bounds; what is wrong with one is told in a sentence."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Header
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.cluster.errors import BadRequest

_MAX_PROBLEMS = 5
# An escape that is half a surrogate pair: the first half alone, or the second.
_HALF_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)

M = TypeVar("M", bound=BaseModel)

IdempotencyKey = Annotated[
    str, Header(max_length=64, description="The same key again answers the same thing.")
]


class Body(BaseModel):
    """What /api/v1 takes: no field that it does not know, and no number within quotes."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def read(request: Request) -> bytes:
    """Raises BadRequest for half a body; `bounded_body` has seen to its length."""
    try:
        return await request.body()
    except ClientDisconnect:
        raise BadRequest("The connection ended before the body was complete.") from None


def decode(body: bytes) -> dict[str, Any]:
    """A JSON object, strictly: UTF-8, no NaN, no bottomless nesting, whole characters only."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if _HALF_PAIR.search(body):
            raise BadRequest(
                "The request holds half a surrogate pair, which is no character."
            ) from None
        raise BadRequest(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply to be a request.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return value


def parse(kind: type[M], values: dict[str, Any]) -> M:
    """Null stands for absent; a number within quotes is none. Unknown fields are ignored."""
    try:
        given = {name: value for name, value in values.items() if value is not None}
        return kind.model_validate(given, strict=True)
    except ValidationError as error:
        raise BadRequest(explain(error.errors()), param=_field(error)) from None


def takes(*kinds: type[BaseModel]) -> dict[str, Any]:
    """For a route's `openapi_extra`: its body is one of `kinds`, read by `parse`."""
    schemas = [_nullable(kind.model_json_schema()) for kind in kinds]
    schema = {"anyOf": schemas} if len(schemas) > 1 else schemas[0]
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def tells(event: Any) -> dict[str, Any]:
    """For the content of a route's answer: server-sent events with that data."""
    return {"text/event-stream": {"schema": TypeAdapter(event).json_schema(mode="serialization")}}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        kinds = field.get("anyOf", ())
        if name not in required and field and {"type": "null"} not in kinds:
            about = {key: field.pop(key) for key in ("title", "description") if key in field}
            schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **about}
    return schema


async def read_json(request: Request, kind: type[M]) -> M:
    return parse(kind, decode(await read(request)))


class _StrictRequest(Request):
    async def json(self) -> Any:
        return decode(await read(self))


class StrictRoute(APIRoute):
    """Its body, which FastAPI would read with Python's lenient parser, is read by `decode`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def changes_in(body: BaseModel) -> dict[str, Any]:
    """What is to be changed, by field. Raises BadRequest for nothing."""
    changes = body.model_dump(exclude_none=True)
    if not changes:
        raise BadRequest(f"Name what to change: {', '.join(type(body).model_fields)}.")
    return changes


def explain(problems: Iterable[Mapping[str, Any]]) -> str:
    """One sentence for each of pydantic's problems, the field first."""
    sentences = []
    for problem in itertools.islice(problems, _MAX_PROBLEMS):
        place = ".".join(str(part) for part in problem["loc"] if not _is_branch(part))
        text = problem["msg"].removeprefix("Value error, ")
        sentences.append(f"{place or 'The request'}: {text}".rstrip(".") + ".")
    return " ".join(dict.fromkeys(sentences))


def _is_branch(part: int | str) -> bool:
    """Pydantic names the branch of a union in the path; it means nothing to a client."""
    return isinstance(part, str) and ("[" in part or part in {"str", "int", "nullable"})


def _field(error: ValidationError) -> str | None:
    place = error.errors()[0]["loc"]
    return str(place[0]) if place else None
