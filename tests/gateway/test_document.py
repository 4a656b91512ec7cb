"""What the OpenAPI documents say beside what FastAPI sees; tests/fuzz shows that it is true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from services.gateway import document
from services.gateway.app import create_app


@pytest.fixture(scope="module")
def administration() -> dict[str, Any]:
    return document.administration(create_app().routes)


@pytest.fixture(scope="module")
def clients() -> dict[str, Any]:
    return document.clients(create_app().routes)


@pytest.fixture(params=["administration", "clients"])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.getfixturevalue(request.param)
    return found


def operations(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)


def holds(told: dict[str, Any], path: str, body: Any) -> bool:
    content = told["paths"][path]["post"]["requestBody"]["content"]
    schema = {**content["application/json"]["schema"], "components": told["components"]}
    return jsonschema_rs.is_valid(schema, body)


def test_references_lead_somewhere(told: dict[str, Any]) -> None:
    names = [reference.removeprefix("#/components/schemas/") for reference in references(told)]
    assert names
    assert set(names) <= set(told["components"]["schemas"])


def test_errors_are_told_as_they_are_answered(told: dict[str, Any]) -> None:
    for label, operation in operations(told):
        assert "422" not in operation["responses"], label
        problem = operation["responses"]["400"]["content"]["application/json"]["schema"]["$ref"]
        assert problem.endswith("Problem"), label
        for status in ("429", "503", "529"):
            answer = operation["responses"].get(status, {})
            if label != "GET /readyz" and answer:
                assert answer["headers"]["Retry-After"]["required"], (label, status)


def test_what_is_named_may_not_be_there(administration: dict[str, Any]) -> None:
    for path in ("/api/v1/run-parameters", "/api/v1/models/{name}/download/events"):
        assert "404" in administration["paths"][path]["get"]["responses"], path
    follow = administration["paths"]["/api/v1/models/{name}/download/events"]["get"]
    assert "409" in follow["responses"]


def test_answers_are_described(told: dict[str, Any]) -> None:
    without_body = {"/v1/events", "/tabby/v1/events"}
    for label, operation in operations(told):
        (answer,) = (a for status, a in operation["responses"].items() if status.startswith("2"))
        if "204" in operation["responses"] or label.split()[1] in without_body:
            assert "content" not in answer, label
        else:
            assert all(content["schema"] for content in answer["content"].values()), label


def test_every_place_of_a_client_is_described(clients: dict[str, Any]) -> None:
    assert {
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/v1/models/{name}",
        "/tabby/v1/completions",
        "/tabby/v1/events",
        "/refact-caps",
        "/readyz",
    } <= set(clients["paths"])
    assert not [path for path in clients["paths"] if path.startswith("/api/")]


def test_both_dialects_of_a_path_are_described(clients: dict[str, Any]) -> None:
    assert holds(clients, "/v1/completions", {"prompt": "def f"})
    assert holds(clients, "/v1/completions", {"segments": {"prefix": "def f"}})
    assert not holds(clients, "/v1/completions", {"language": "python"})


def test_bodies_are_described_as_they_are_read(clients: dict[str, Any]) -> None:
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    assert holds(clients, "/v1/chat/completions", {**chat, "temperature": None, "stop": "\n"})
    assert holds(clients, "/v1/messages", {**chat, "max_tokens": 1, "system": "Be kind."})
    assert not holds(clients, "/v1/chat/completions", {"messages": None})
    assert not holds(clients, "/v1/chat/completions", {**chat, "temperature": "0.5"})


def test_anthropic_tells_errors_in_its_own_form(clients: dict[str, Any]) -> None:
    responses = clients["paths"]["/v1/messages"]["post"]["responses"]
    assert "503" not in responses
    shape = responses["529"]["content"]["application/json"]["schema"]["$ref"]
    assert shape.endswith("/AnthropicProblem")


def test_parameters_of_a_path_hold_no_slash_unless_they_may(
    clients: dict[str, Any], administration: dict[str, Any]
) -> None:
    (project,) = administration["paths"]["/api/v1/projects/{project_id}"]["get"]["parameters"]
    assert project["schema"]["pattern"] == "^[^/]+$"
    (model,) = clients["paths"]["/v1/models/{name}"]["get"]["parameters"]
    assert "pattern" not in model["schema"]


def test_who_may_call_is_described(told: dict[str, Any]) -> None:
    assert {"token", "key"} == set(told["components"]["securitySchemes"])
    secured = {label for label, operation in operations(told) if "security" in operation}
    assert secured & {"GET /api/v1/models", "GET /v1/models"}
    assert not secured & {"POST /api/v1/session", "GET /healthz"}
