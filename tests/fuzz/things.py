"""What there is in a cluster that is asked, so that requests find something."""

from __future__ import annotations

import io
import itertools
import zipfile
from typing import Any

import httpx

from tests.e2e.running import Cluster
from tests.fuzz.asking import AnyCase, is_valid

MODEL = "hearth/starter-coder"
_CODE = "def area(width: int, height: int) -> int:\n    return width * height\n"
# What ends or restarts something that others are asked about has tests of its own.
_SPARED = ("/restart", "/cancel", "/weights", "/adapters/{adapter_id}")
# A model and a project that there are would start a replica or a fine-tune for each request.
_STARTING = ("/api/v1/deployments", "/api/v1/runs")
_IN_BODIES = {"model", "project_id", "dataset_id"}
_TURNS = itertools.count()


def make_things(cluster: Cluster) -> dict[str, Any]:
    """Parameters of paths, by name: a project with a source, a scan and a run, and a deployment."""
    with cluster.client(cluster.admin_token) as client:
        project = made(client, "/projects", json={"name": "fuzz", "finetune_model": MODEL})
        sources = f"/projects/{project['project_id']}/sources?file_name=code.zip"
        source = made(client, sources, content=_archive())
        scans = f"/projects/{project['project_id']}/scans"
        scan = made(client, scans, json={})
        follow(client, f"/scans/{scan['scan_id']}/events")
        scan = client.get(f"/api/v1/scans/{scan['scan_id']}").raise_for_status().json()
        run = made(client, "/runs", json={"project_id": project["project_id"]})
        token = made(client, "/tokens", json={"name": "fuzz"})
        (deployment,) = client.get("/api/v1/deployments").raise_for_status().json()
    return {
        "project_id": project["project_id"],
        "source_id": source["source_id"],
        "scan_id": scan["scan_id"],
        "dataset_id": scan["dataset_id"],
        "file_number": 1,
        "run_id": run["run_id"],
        "token_id": token["token_id"],
        "deployment_id": deployment["deployment_id"],
        "replica_id": deployment["replicas"][0]["replica_id"],
        "name": MODEL,
        "model": MODEL,
    }


def made(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/api/v1{path}", **body)
    assert answer.status_code == 201, (path, answer.text)
    found: dict[str, Any] = answer.json()
    return found


def follow(client: httpx.Client, path: str) -> None:
    """To the end of what is watched."""
    with client.stream("GET", f"/api/v1{path}", timeout=300) as events:
        for _ in events.iter_lines():
            pass


def find_something(case: AnyCase, things: dict[str, Any]) -> None:
    """Every other valid request is about something that there is."""
    if not is_valid(case) or case.method in ("DELETE", "PATCH"):
        return
    if case.path.endswith(_SPARED) or next(_TURNS) % 2:
        return
    case.path_parameters |= {n: things[n] for n in case.path_parameters.keys() & things}
    if isinstance(case.body, dict) and case.path not in _STARTING:
        case.body |= {name: things[name] for name in case.body.keys() & _IN_BODIES}


def _archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(20):
            code = f"SIDE_{number} = {number}\n\n\n{_CODE.replace('area', f'area_{number}')}"
            archive.writestr(f"shapes/shape_{number}.py", code * (number + 1))
    return data.getvalue()
