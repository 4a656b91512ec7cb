"""kill -9 of datascan and of finetune in the middle of their jobs, in a whole cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from tests.e2e import loop
from tests.e2e.packages import zips
from tests.e2e.running import Cluster, start, stop, wait_until_started

pytestmark = pytest.mark.faults

MODEL = "hearth/starter-coder"


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = start(tmp_path_factory.mktemp("data"))
    try:
        wait_until_started(cluster)
        yield cluster
    finally:
        stop(cluster)


@pytest.fixture(scope="module")
def admin(own_cluster: Cluster) -> Iterator[httpx.Client]:
    with own_cluster.client(own_cluster.admin_token) as client:
        yield client


def service(cluster: Cluster, name: str) -> psutil.Process:
    """The newest process of a service."""
    found = [p for p in cluster.processes() if p.cmdline()[-2:] == ["-m", f"services.{name}"]]
    return max(found, key=lambda process: process.create_time())


def record_when(
    client: httpx.Client, path: str, holds: Callable[[loop.Record], bool], seconds: float = 300
) -> loop.Record:
    """The service may be away for a moment: a 503 is no answer yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = client.get(path)
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            record: loop.Record = answer.json()
            if holds(record):
                return record
        time.sleep(0.05)
    raise AssertionError(f"{path} after {seconds:.0f} s: {answer.text}")


def is_loaded(cluster: loop.Record, adapter_id: str) -> bool:
    replicas = [replica for each in cluster["deployments"] for replica in each["replicas"]]
    return any(adapter_id in replica["loaded_adapter_ids"] for replica in replicas)


@pytest.fixture(scope="module")
def project_id(own_cluster: Cluster, admin: httpx.Client) -> str:
    """Has one dataset, of a scan that was killed while it asked for losses."""
    train, held_out = zips("scrapy")
    made = loop.create_project(admin, "killed", MODEL, manual_scans=True)
    loop.upload(admin, made, "train.zip", train, split="train")
    loop.upload(admin, made, "held-out.zip", held_out, split="test")
    scan = loop.made(admin.post(f"/api/v1/projects/{made}/scans", json={}))
    path = f"/api/v1/scans/{scan['scan_id']}"
    record_when(
        admin,
        path,
        lambda scan: bool(scan["progress"]) and scan["progress"]["num_scored_files"] > 0,
    )
    service(own_cluster, "datascan").kill()
    scan = record_when(admin, path, lambda scan: scan["status"] in loop.ENDED)
    assert (scan["status"], scan["attempt"]) == ("succeeded", 2), scan
    return made


def test_the_scan_goes_on_with_its_id_and_makes_one_dataset(
    admin: httpx.Client, project_id: str
) -> None:
    (scan,) = loop.made(admin.get(f"/api/v1/projects/{project_id}/scans"))["scans"]
    (dataset,) = loop.made(admin.get(f"/api/v1/projects/{project_id}/datasets"))["datasets"]
    assert scan["dataset_id"] == dataset["dataset_id"]
    judged = [v["file_number"] for v in loop.verdicts(admin, scan["scan_id"])]
    assert judged == list(range(1, scan["counts"]["num_files"] + 1))


def test_the_run_goes_on_with_its_id_and_makes_one_adapter(
    own_cluster: Cluster, admin: httpx.Client, project_id: str
) -> None:
    run_id = loop.start_run(
        admin,
        project_id,
        "killed",
        {"train_steps": 60},
        publish_policy="always",
        max_evaluation_cases=20,
    )
    path = f"/api/v1/runs/{run_id}"
    record_when(admin, path, lambda run: bool(run["best_checkpoint_id"]))
    finetune = service(own_cluster, "finetune")
    trainers = finetune.children(recursive=True)
    assert trainers
    finetune.kill()
    _, alive = psutil.wait_procs(trainers, timeout=10)
    assert alive == []
    run = record_when(admin, path, lambda run: run["status"] in loop.ENDED, seconds=600)
    assert (run["status"], run["attempt"]) == ("succeeded", 2), run
    assert run["resumed_from_checkpoint_id"]
    (adapter_id,) = run["adapter_ids"]
    record_when(admin, "/api/v1/cluster", lambda cluster: is_loaded(cluster, adapter_id))
    adapters = loop.made(admin.get("/api/v1/adapters"))
    assert [adapter["adapter_id"] for adapter in adapters] == [adapter_id]
    nats, num_tokens = loop.loss(admin, f"{MODEL}:{adapter_id}", "import scrapy\n")
    assert num_tokens > 0
    assert nats > 0
