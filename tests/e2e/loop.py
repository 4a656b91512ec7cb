"""From a zip of code to an adapter that answers: the steps, as a script takes them over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

Record = dict[str, Any]
ENDED = ("succeeded", "failed", "cancelled")


def made(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.status_code} {response.text}"
    return response.json()


def create_project(client: httpx.Client, name: str, model: str, **spec: object) -> str:
    body = {"name": name, "finetune_model": model, **spec}
    return str(made(client.post("/api/v1/projects", json=body))["project_id"])


def upload(
    client: httpx.Client, project_id: str, file_name: str, content: bytes, **query: str
) -> Record:
    source: Record = made(
        client.post(
            f"/api/v1/projects/{project_id}/sources",
            params={"file_name": file_name, **query},
            content=content,
        )
    )
    return source


def events(client: httpx.Client, path: str) -> Iterator[tuple[str, Record]]:
    """Name and data of each server-sent event, until the server ends the stream."""
    with client.stream("GET", path, timeout=httpx.Timeout(60, read=60)) as response:
        assert response.status_code == 200, response.read()
        name = ""
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def followed(client: httpx.Client, path: str, noun: str, seconds: float) -> Record:
    """The record as it ends. The stream may break off when what serves it is killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            for name, data in events(client, f"{path}/events"):
                assert name != "error" or data["error"]["code"] in ("unavailable",), data
                if name == noun and data["status"] in ENDED:
                    return data
        except httpx.TransportError:
            continue
        answer = client.get(path)
        assert answer.status_code in (200, 503), answer.text
        record: Record = answer.json()
        if answer.status_code == 200 and record["status"] in ENDED:
            return record
        time.sleep(0.2)
    raise AssertionError(f"{path} did not end within {seconds:.0f} s: {made(client.get(path))}")


def scanned(
    client: httpx.Client, project_id: str, num_sources: int, seconds: float = 300
) -> tuple[Record, Record]:
    """The scan that started by itself and saw all sources, and its dataset."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        scan_id = made(client.get(f"/api/v1/projects/{project_id}"))["latest_scan_id"]
        if scan_id:
            scan = followed(client, f"/api/v1/scans/{scan_id}", "scan", seconds)
            assert scan["status"] != "failed", scan
            if scan["status"] == "succeeded":
                dataset = made(client.get(f"/api/v1/datasets/{scan['dataset_id']}"))
                if len(dataset["sources"]) == num_sources:
                    return scan, dataset
        time.sleep(0.2)  # nothing tells a project's watchers that a scan was queued
    raise AssertionError(f"{project_id} was not scanned within {seconds:.0f} s")


def verdicts(client: httpx.Client, scan_id: str, **query: str) -> Iterator[Record]:
    token = ""
    while True:
        params = {"page_size": "100", "page_token": token, **query}
        page = made(client.get(f"/api/v1/scans/{scan_id}/verdicts", params=params))
        yield from page["verdicts"]
        token = page["next_page_token"]
        if not token:
            return


def start_run(
    client: httpx.Client,
    project_id: str,
    name: str,
    parameters: Mapping[str, object],
    **spec: object,
) -> str:
    body = {"project_id": project_id, "name": name, "parameters": dict(parameters), **spec}
    return str(made(client.post("/api/v1/runs", json=body))["run_id"])


def trained(client: httpx.Client, run_id: str, seconds: float = 900) -> Record:
    return followed(client, f"/api/v1/runs/{run_id}", "run", seconds)


def withdraw_all(client: httpx.Client) -> None:
    """Takes every adapter out again, so that `auto` is the base for whoever asks next."""
    for deployment in made(client.get("/api/v1/deployments")):
        for adapter_id in deployment["adapter_ids"]:
            place = f"/api/v1/deployments/{deployment['deployment_id']}/adapters/{adapter_id}"
            assert client.delete(place).is_success
    for adapter in made(client.get("/api/v1/adapters")):
        assert client.delete(f"/api/v1/adapters/{adapter['adapter_id']}").is_success


def delete_projects(client: httpx.Client) -> None:
    for project in made(client.get("/api/v1/projects"))["projects"]:
        assert client.delete(f"/api/v1/projects/{project['project_id']}").is_success


def loss(client: httpx.Client, model: str, text: str) -> tuple[float, int]:
    """Nats of all tokens of the text but the first, and how many those are, by /v1/completions."""
    body = {"model": model, "prompt": text, "echo": True, "logprobs": 0, "max_tokens": 0}
    answer = made(client.post("/v1/completions", json=body))
    assert answer["model"] == model
    values = answer["choices"][0]["logprobs"]["token_logprobs"][1:]
    return -float(sum(values)), len(values)
