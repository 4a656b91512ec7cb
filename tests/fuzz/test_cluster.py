"""A whole cluster is asked what its API documents allow, and what they do not: `make fuzz`.

Of a stream that never ends one event is read. Nothing that is deleted, changed or restarted here is
what the others are asked about: those requests name what there is not, until the last tests.
Checkpoints and evaluations are asked about by ids of none: making one takes a fine-tune.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from schemathesis.core import NOT_SET
from schemathesis.schemas import BaseSchema

from tests.e2e.running import Cluster
from tests.fuzz.asking import AnyCase, ask, described, exercise, operations
from tests.fuzz.things import find_something, make_things

pytestmark = [pytest.mark.fuzz, pytest.mark.e2e]

_NUM_EXAMPLES = 20


@pytest.fixture(scope="module")
def things(cluster: Cluster) -> dict[str, Any]:
    return make_things(cluster)


@pytest.mark.parametrize("told", ["/v1/openapi.json", "/api/v1/openapi.json"])
def test_answers_are_as_described(cluster: Cluster, things: dict[str, Any], told: str) -> None:
    token = cluster.admin_token if told.startswith("/api/") else cluster.token

    def asked(case: AnyCase) -> None:
        find_something(case, things)
        ask(case, cluster.url, token)

    failures = []
    for operation in operations(document_of(cluster, told)):
        failures += exercise(operation, asked, _NUM_EXAMPLES, covers=True)
    assert not failures, "\n\n".join(failures)


def document_of(cluster: Cluster, path: str) -> BaseSchema:
    return described(httpx.get(f"{cluster.url}{path}").raise_for_status().json())


# Method, path, body, and the statuses that may be: a run may go on or have ended.
_CHANGES: tuple[tuple[str, str, Any, set[int]], ...] = (
    ("POST", "/api/v1/runs/{run_id}/cancel", None, {200, 409}),
    ("POST", "/api/v1/scans/{scan_id}/cancel", None, {409}),
    ("PATCH", "/api/v1/sources/{source_id}", {"name": "other"}, {200}),
    ("PATCH", "/api/v1/projects/{project_id}", {"manual_scans": True}, {200}),
    ("PATCH", "/api/v1/deployments/{deployment_id}", {"max_running_requests": 2}, {200}),
    ("POST", "/api/v1/deployments/{deployment_id}/restart", None, {200}),
    ("DELETE", "/api/v1/tokens/{token_id}", None, {204}),
    ("DELETE", "/api/v1/sources/{source_id}", None, {204}),
    ("DELETE", "/api/v1/projects/{project_id}", None, {204, 409}),
    ("DELETE", "/api/v1/models/{name}/weights", None, {409}),  # they are deployed
    ("DELETE", "/api/v1/deployments/{deployment_id}", None, {204}),
)


def test_what_there_is_ends_as_described(cluster: Cluster, things: dict[str, Any]) -> None:
    administration = document_of(cluster, "/api/v1/openapi.json")
    for method, path, body, statuses in _CHANGES:
        operation = administration[path][method]
        mine = {name: value for name, value in things.items() if f"{{{name}}}" in path}
        case = operation.Case(
            path_parameters=mine, body=body or NOT_SET, media_type="application/json"
        )
        answer = ask(case, cluster.url, cluster.admin_token)
        assert answer.status_code in statuses, (method, path)
