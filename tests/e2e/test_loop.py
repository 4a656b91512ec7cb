"""A zip of a package becomes an adapter that completes its code better, and nothing restarts.

Real processes, real Redis, real vLLM, code that the starter model has never seen.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import loop
from tests.e2e.closed_loop import ClosedLoop
from tests.e2e.packages import zips
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

log = logging.getLogger(__name__)

MODEL = "hearth/starter-coder"
LEAST_FILES = 30
SLOWEST_SECONDS = 20.0
_SHOWN_CHARS = 4000  # of a file: surely within the starter model's context


@dataclass(frozen=True)
class Started:
    """A package's scan and the run on it. `texts` are by path in the scan."""

    scan: loop.Record
    dataset: loop.Record
    run_id: str
    texts: dict[str, str]


@dataclass(frozen=True)
class FineTuned:
    """A package's scan and the adapter that was made of it; texts by path in the scan."""

    scan: loop.Record
    dataset: loop.Record
    run: loop.Record
    model: str
    train: dict[str, str]
    test: dict[str, str]


@dataclass(frozen=True)
class Loop:
    first: FineTuned
    second: FineTuned
    typing: ClosedLoop
    processes_before: loop.Record
    processes_after: loop.Record


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client(cluster.admin_token) as client:
        yield client


@pytest.fixture(scope="module")
def whole(cluster: Cluster, admin: httpx.Client) -> Iterator[Loop]:
    """Everything once, since it takes minutes: the second is scanned while the first trains.

    It is scanned without losses, which nobody asks for, and judged by few cases: what is compared
    is what its adapter says of the first one's files.
    """
    before = running(admin)
    with ClosedLoop(cluster, MODEL) as typing:
        first = started(admin, "scrapy", {"train_steps": 120}, num_cases=100)
        second = started(
            admin,
            "luigi",
            {"train_steps": 60},
            with_losses=False,
            num_cases=20,
            publish_policy="always",
        )
        tuned = (fine_tuned(admin, first), fine_tuned(admin, second))
    yield Loop(*tuned, typing, before, running(admin))
    loop.withdraw_all(admin)


def running(admin: httpx.Client) -> loop.Record:
    state = loop.made(admin.get("/api/v1/cluster"))
    started = {p["process_id"]: p["started_at"] for p in state["processes"]}
    for deployment in state["deployments"]:
        started |= {r["replica_id"]: r["started_at"] for r in deployment["replicas"]}
    return started


def started(
    admin: httpx.Client,
    package: str,
    parameters: loop.Record,
    *,
    num_cases: int,
    with_losses: bool = True,
    **spec: object,
) -> Started:
    """Scanned; its run is queued behind those that were started before."""
    train, held_out = zips(package)
    project_id = loop.create_project(admin, package, MODEL if with_losses else "")
    loop.upload(admin, project_id, f"{package}.zip", train, split="train")
    loop.upload(admin, project_id, "held-out.zip", held_out, split="test")
    scan, dataset = loop.scanned(admin, project_id, num_sources=2)
    run_id = loop.start_run(
        admin,
        project_id,
        package,
        parameters,
        model=MODEL,
        max_evaluation_cases=num_cases,
        **spec,
    )
    return Started(scan, dataset, run_id, texts(train, package) | texts(held_out, "held-out"))


def fine_tuned(admin: httpx.Client, begun: Started) -> FineTuned:
    scan = begun.scan
    run = loop.trained(admin, begun.run_id)
    assert run["status"] == "succeeded", run
    (adapter_id,) = run["adapter_ids"]
    halves = {
        half: {
            verdict["path"]: begun.texts[verdict["path"]]
            for verdict in loop.verdicts(admin, scan["scan_id"], accepted="true", split=half)
        }
        for half in ("train", "test")
    }
    model = f"{MODEL}:{adapter_id}"
    return FineTuned(scan, begun.dataset, run, model, halves["train"], halves["test"])


def texts(archive: bytes, source: str) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {
            f"{source}/{name}": opened.read(name).decode(errors="replace")
            for name in opened.namelist()
        }


def losses(client: httpx.Client, model: str, files: dict[str, str]) -> NDArray[np.float64]:
    """Nats per token of each file's beginning."""
    found = [loop.loss(client, model, text[:_SHOWN_CHARS]) for text in files.values()]
    return np.array([nats / num_tokens for nats, num_tokens in found])


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the mean, by bootstrap over files (Efron's percentiles)."""
    picks = np.random.default_rng(0).integers(len(differences), size=(10_000, len(differences)))
    low, high = np.percentile(differences[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def test_the_scan_judged_every_file_and_split_them(admin: httpx.Client, whole: Loop) -> None:
    first = whole.first
    train, held_out = zips("scrapy")
    judged = list(loop.verdicts(admin, first.scan["scan_id"]))
    assert len(judged) == len(texts(train, "a")) + len(texts(held_out, "b"))
    assert all(verdict["accepted"] or verdict["detail"] for verdict in judged)
    assert first.scan["loss_skipped_reason"] == ""
    assert all(v["loss"] is not None for v in judged if v["accepted"])
    assert first.dataset["test"]["num_files"] == len(first.test) >= LEAST_FILES
    assert first.dataset["train"]["num_files"] == len(first.train)


def test_no_held_out_file_is_nearly_a_training_file(whole: Loop) -> None:
    def shingles(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+|[^\w\s]", text)
        return set(zip(*(words[start:] for start in range(5)), strict=False))

    train = [shingles(text) for text in whole.first.train.values()]
    for path, text in whole.first.test.items():
        mine = shingles(text)
        alike = max((len(mine & other) / max(len(mine | other), 1) for other in train), default=0)
        assert alike < 0.7, path


def test_the_adapter_is_a_model_that_was_judged_better(admin: httpx.Client, whole: Loop) -> None:
    listed = [model["id"] for model in admin.get("/v1/models").json()["data"]]
    assert whole.first.model in listed
    run = whole.first.run
    place = f"/api/v1/evaluations/{run['evaluation_id']}"
    evaluation = loop.made(admin.get(place))
    assert evaluation["verdict"] in ("better", "no_difference"), evaluation["summary"]
    assert evaluation["loss_difference"]["high"] < 0, evaluation["summary"]
    assert loop.made(admin.get(f"{place}/cases"))["cases"]


def test_auto_answers_with_the_newest_better_adapter(admin: httpx.Client, whole: Loop) -> None:
    body = {"model": f"{MODEL}:auto", "prompt": "import ", "max_tokens": 4}
    answered = loop.made(admin.post("/v1/completions", json=body))["model"]
    assert answered in (whole.first.model, whole.second.model)


def test_held_out_files_are_less_surprising_to_the_adapter(
    admin: httpx.Client, whole: Loop
) -> None:
    files = whole.first.test
    base = losses(admin, MODEL, files)
    first = losses(admin, whole.first.model, files)
    second = losses(admin, whole.second.model, files)
    log.info(
        "%d held-out files, nats per token: base %.3f, own adapter %.3f %s, another's %.3f %s",
        len(files),
        base.mean(),
        first.mean(),
        interval(first - base),
        second.mean(),
        interval(second - first),
    )
    assert interval(first - base)[1] < 0
    assert interval(second - first)[0] > 0


def test_a_developer_who_typed_all_the_while_noticed_nothing(whole: Loop) -> None:
    seconds = whole.typing.seconds
    log.info("%d completions, slowest %.1f s", len(seconds), max(seconds))
    assert whole.typing.failures == []
    assert len(seconds) > 100
    assert max(seconds) < SLOWEST_SECONDS


def test_nothing_was_restarted(whole: Loop) -> None:
    assert whole.processes_after == whole.processes_before
