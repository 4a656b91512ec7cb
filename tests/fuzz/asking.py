"""One generated request: sent, and its answer held against the document it was generated from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, CheckContext, CheckFunction, Config, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.openapi.loaders import from_dict
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi import checks

AnyCase = Case[Any]
Operation = APIOperation[Any, Any, Any, Any]

_MAX_NEW_TOKENS = 4
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens")
_MOST = {**dict.fromkeys(_LIMITS, _MAX_NEW_TOKENS), "n": 2}
# Places where an answer may fill the context, and the field that limits it. Null means absent.
_UNLIMITED = {
    "/chat/completions": "max_tokens",
    "/fim/completions": "max_tokens",
    "/responses": "max_output_tokens",
}
_EVENTS = "text/event-stream"
_TEMPORARY = ("503", "529")
# They go on for as long as something is watched: one event is read, or what comes in some seconds.
_ENDLESS = "/(events|log)$"
_ENDLESS_SECONDS = 5
_SECONDS = 120


def described(document: dict[str, Any]) -> BaseSchema:
    """What is to be asked of it: valid and invalid requests, and methods that there are not."""
    endless = {
        "include-path-regex": _ENDLESS,
        "include-method": "GET",
        "max-stream-events": 1,
        "request-timeout": _ENDLESS_SECONDS,
    }
    config = {
        "request-timeout": _SECONDS,
        "generation": {"with-security-parameters": False},
        "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", *_TEMPORARY]}},
        "operations": [endless],
    }
    return from_dict(document, config=Config.from_dict(config))


def operations(schema: BaseSchema) -> list[Operation]:
    found = list(schema.get_all_operations())
    assert all(isinstance(each, Ok) for each in found), found
    return [each.ok() for each in found if isinstance(each, Ok)]


def exercise(
    operation: Operation, asked: Callable[[AnyCase], None], num_examples: int, *, covers: bool
) -> list[str]:
    """What was found wrong, each kind once. `covers`: every boundary of the schema as well."""
    found: dict[str, str] = {}

    def test(case: AnyCase) -> None:
        try:
            asked(case)
        except (AssertionError, FailureGroup) as failure:
            wrong = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
            for each in wrong:
                kind = getattr(each, "title", type(each).__name__)
                found.setdefault(
                    kind, f"{operation.label}: {kind}: {each}\n{case.as_curl_command()}"
                )

    modes = [*HypothesisTestMode] if covers else [HypothesisTestMode.FUZZING]
    config = HypothesisTestConfig(operation.schema.config, modes, _settings(num_examples))
    with contextlib.suppress(Unsatisfiable):
        create_test(operation=operation, test_func=test, config=config)()
    return list(found.values())


def _settings(num_examples: int) -> settings:
    return settings(
        max_examples=num_examples,
        phases=[Phase.explicit, Phase.generate],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def ask(case: AnyCase, url: str, token: str) -> Response:
    """Raises a Failure for an answer that is no server's in order, or not as it is described."""
    _shorten(case)
    headers = {"Authorization": f"Bearer {token}"}
    return case.call_and_validate(base_url=url, headers=headers, checks=[*CHECKS])


def _shorten(case: AnyCase) -> None:
    """A valid number of tokens, or none, becomes a small one: what is asked is not how long it is.

    The body stays as valid as it was: a field that has to be there is not added.
    """
    body = case.body
    if not isinstance(body, dict) or not case.path.startswith(("/v1/", "/tabby/v1")):
        return
    if is_valid(case):
        for name, most in _MOST.items():
            count = body.get(name)
            if isinstance(count, int) and count > most:
                body[name] = most
    for place, name in _UNLIMITED.items():
        if case.path.endswith(place) and body.get(name) is None:
            body[name] = _MAX_NEW_TOKENS


def is_valid(case: AnyCase) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def holds_to_schema(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """The body as it is described, or each event of a stream."""
    if not _content_type(response).startswith(_EVENTS):
        return checks.response_schema_conformance(ctx, response, case)
    for name, data in _events(response.content.decode()):
        if data != "[DONE]":
            _hold(case, name, json.loads(data))
    return None


def _hold(case: AnyCase, name: str, value: Any) -> None:
    """An event's data has the schema of the stream, or that of the property of the event's name."""
    document = case.operation.schema.raw_schema
    answer = document["paths"][case.path][case.method.lower()]["responses"]["200"]
    schema = answer["content"][_EVENTS]["schema"]
    if "$ref" in schema:
        named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        schema = named["properties"].get(name, named) if name else named
    assert name != "error", f"{case.operation.label}: a stream ended with {value}"
    whole = {**schema, "components": document["components"]}
    problems = [str(error) for error in jsonschema_rs.validator_for(whole).iter_errors(value)]
    assert not problems, f"{case.operation.label}: event {name} is {value}: {problems}"


def _events(text: str) -> Iterator[tuple[str, str]]:
    """Name, "" for none, and data of each event that is whole."""
    for block in text.split("\n\n")[:-1]:
        fields = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        named = {name: value for name, _, value in fields}
        if "data" in named:
            yield named.get("event", ""), named["data"]


def has_no_other_methods(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """DELETE below a model is no other method but another model: names may hold slashes."""
    if response.request.method == "DELETE" and case.path.startswith("/api/v1/models/{name}/"):
        return None
    return checks.unsupported_method(ctx, response, case)


def says_when_to_ask_again(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    if str(response.status_code) in ("429", *_TEMPORARY):
        assert int(response.headers["retry-after"][0]) >= 1
    return None


def explains_refusals(ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """With a sentence."""
    if response.status_code >= 400 and _content_type(response) == "application/json":
        detail = response.json()["detail"]
        assert len(detail.split()) > 2, detail
        assert detail.endswith((".", "!", "?")), detail
    return None


def _content_type(response: Response) -> str:
    return response.headers.get("content-type", [""])[0]


CHECKS: tuple[CheckFunction, ...] = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    has_no_other_methods,
    holds_to_schema,
    says_when_to_ask_again,
    explains_refusals,
)
for _check in (holds_to_schema, has_no_other_methods, says_when_to_ask_again, explains_refusals):
    schemathesis.check(_check)
