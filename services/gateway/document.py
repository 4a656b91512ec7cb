"""The OpenAPI documents: what FastAPI sees of the routes, and what it does not.

It does not see who may call, how errors are told, bodies that routes read themselves, and that a
parameter of a path holds no slash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor
from starlette.routing import BaseRoute

from services.cluster import VERSION
from services.gateway.auth import Allow
from services.gateway.problems import OPENAI_PROBLEMS, ProblemForm, ToldIn

_ADMINISTRATION = "/api/v1/"
_COMPONENTS = "#/components/schemas/"
_OWN = "#/$defs/"
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_PROBLEMS = {
    400: "What was sent is not what is described here.",
    401: "Nobody known asks: the token is missing, was revoked or has expired.",
    403: "The token's scopes, or the browser's session, do not allow this.",
    404: "Something that is named is not there.",
    409: "It does not go together with what is there.",
    413: "The body is longer than the settings allow.",
    429: "Too much is asked at once. Ask again after Retry-After.",
    503: "What answers this is not up, is starting, or is busy. Ask again after Retry-After.",
    504: "What answers this did not do so in time.",
    507: "The disk is full.",
}
_TEMPORARY = (429, 503)
_SAFE_METHODS = ("GET", "HEAD")


def administration(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Of the routes that administer the cluster."""
    return _document("Hearth administration", [r for r in _shown(routes) if _administers(r)])


def clients(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Of what plugins, SDKs and those who operate Hearth ask."""
    return _document("Hearth", [r for r in _shown(routes) if not _administers(r)])


def _shown(routes: Iterable[BaseRoute]) -> list[APIRoute]:
    return [r for r in routes if isinstance(r, APIRoute) and r.include_in_schema]


def _administers(route: APIRoute) -> bool:
    return f"{route.path}/".startswith(_ADMINISTRATION)


def _document(title: str, routes: Sequence[APIRoute]) -> dict[str, Any]:
    document = get_openapi(title=title, version=VERSION, routes=routes)
    components = document.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's, never answered here
        schemas.pop(name, None)
    components["securitySchemes"] = _SECURITY
    for route in routes:
        form = _form_of(route)
        schemas[form.shape.__name__] = form.shape.model_json_schema(mode="serialization")
        for method in route.methods:
            operation = document["paths"][route.path_format][method.lower()]
            operation["responses"].pop("422", None)
            for status in _statuses(route, method, operation):
                answer = _problem(status, form)
                operation["responses"].setdefault(str(form.statuses.get(status, status)), answer)
            _add_security(operation, route)
            _refuse_slashes(operation, route)
    _hoist(document["paths"], schemas)
    _hoist(dict(schemas), schemas)
    return document


def _form_of(route: APIRoute) -> ProblemForm:
    """How errors of the route are told."""
    calls = (dependency.call for dependency in route.dependant.dependencies)
    return next((call.form for call in calls if isinstance(call, ToldIn)), OPENAI_PROBLEMS)


def _is_open(route: APIRoute) -> bool:
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return any(isinstance(call, Allow) and call.is_open for call in calls)


def _statuses(route: APIRoute, method: str, operation: Mapping[str, Any]) -> list[int]:
    """Of the errors that a route may answer."""
    found = {400, 503, 504}
    changes, has_body = method not in _SAFE_METHODS, "requestBody" in operation
    if not _is_open(route) or changes:
        found |= {401, 403}
    if operation.get("parameters") or has_body:
        found |= {404}
    if changes or route.param_convertors:  # a GET may start what it watches
        found |= {409}
    if changes:
        found |= {429}
    if has_body:
        found |= {413, 507}
    return sorted(found)


def _problem(status: int, form: ProblemForm) -> dict[str, Any]:
    shape = {"$ref": _COMPONENTS + form.shape.__name__}
    answer = {
        "description": _PROBLEMS[status],
        "content": {"application/json": {"schema": shape}},
    }
    if status in _TEMPORARY:
        seconds = {"required": True, "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": seconds}
    return answer


def _add_security(operation: dict[str, Any], route: APIRoute) -> None:
    if not _is_open(route):
        operation["security"] = [{name: []} for name in _SECURITY]


def _refuse_slashes(operation: Mapping[str, Any], route: APIRoute) -> None:
    for parameter in operation.get("parameters", ()):
        convertor = route.param_convertors.get(parameter["name"])
        if parameter["in"] == "path" and isinstance(convertor, StringConvertor):
            parameter["schema"].setdefault("pattern", f"^{convertor.regex}$")


def _hoist(value: Any, schemas: dict[str, Any]) -> None:
    """Moves definitions that a schema brings with it among those that all share."""
    if isinstance(value, list):
        for each in value:
            _hoist(each, schemas)
    if not isinstance(value, dict):
        return
    own: dict[str, Any] = value.pop("$defs", {})
    names = _free_names(own, schemas)
    schemas |= {names[_OWN + name]: _pointed(schema, names) for name, schema in own.items()}
    for key, each in value.items():
        value[key] = _pointed(each, names) if names else each
        _hoist(value[key], schemas)


def _free_names(own: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, str]:
    """By reference: a definition's name, with a number where another has that already."""
    numbers = dict.fromkeys(own, 1)
    while True:
        names = {_OWN + name: f"{name}{n if n > 1 else ''}" for name, n in numbers.items()}
        taken = [
            name
            for name, schema in own.items()
            if schemas.get(names[_OWN + name], pointed := _pointed(schema, names)) != pointed
        ]
        if not taken:
            return names
        for name in taken:
            numbers[name] += 1


def _pointed(value: Any, names: Mapping[str, str]) -> Any:
    """The same, with references to the shared definitions."""
    if isinstance(value, list):
        return [_pointed(each, names) for each in value]
    if isinstance(value, dict):
        return {key: _pointed(each, names) for key, each in value.items()}
    return _COMPONENTS + names[value] if isinstance(value, str) and value in names else value
