"""Which artifacts the records in Redis name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.cluster.artifacts.manifest import ArtifactKind, Manifest
from services.cluster.jobs.records import TERMINAL, JobKind
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

# What a run or an evaluation was asked for stays readable as long as its record.
_LASTING = frozenset({JobKind.RUN, JobKind.EVALUATE})


@dataclass(frozen=True)
class References:
    """`live_jobs` have not ended; `num_records` tells an empty Redis from a quiet one."""

    by_kind: Mapping[ArtifactKind, frozenset[str]]
    live_jobs: frozenset[str]
    num_records: int


@dataclass(frozen=True)
class _Jobs:
    ids: frozenset[str]
    live: frozenset[str]
    named: frozenset[str]  # every text in what they were asked for, and in what a live one said


async def read_references(store: Store, manifests: Iterable[Manifest]) -> References:
    """`manifests` are those of the artifact store: their labels say whose they are.

    Raises StoreUnavailable, and ValueError for a record that cannot be read: what it names is not
    known then, so nothing may be deleted.
    """
    sources = await _hash(store, Keys.SOURCES)
    datasets = await _hash(store, Keys.DATASETS)
    adapters = await _hash(store, Keys.ADAPTERS)
    serving = {**await _hash(store, Keys.DEPLOYMENTS), **await _hash(store, Keys.REPLICAS)}
    jobs = await _jobs(store)
    runs = jobs.ids | await _run_ids(store)
    found: dict[ArtifactKind, set[str]] = {kind: set(jobs.named) for kind in ArtifactKind}
    found[ArtifactKind.SOURCE] |= {json.loads(text)["artifact_id"] for text in sources.values()}
    found[ArtifactKind.DATASET] |= datasets.keys()
    found[ArtifactKind.ADAPTER] |= adapters.keys()
    for text in serving.values():
        found[ArtifactKind.ADAPTER].update(_texts(json.loads(text)))
    for manifest in manifests:
        run_id = manifest.labels.get("run_id", "")
        # A checkpoint goes with its run; the adapter that a live one evaluates is not recorded yet.
        checkpoint = manifest.kind is ArtifactKind.CHECKPOINT and run_id in runs
        if checkpoint or (manifest.kind is ArtifactKind.ADAPTER and run_id in jobs.live):
            found[manifest.kind].add(manifest.artifact_id)
    return References(
        by_kind={kind: frozenset(ids) for kind, ids in found.items()},
        live_jobs=jobs.live,
        num_records=len(sources) + len(datasets) + len(adapters) + len(jobs.ids),
    )


async def _jobs(store: Store) -> _Jobs:
    ids, live, named = set(), set(), set[str]()
    async for key in _keys(store, Keys.JOB):
        async with store.answering():
            job: Any = await store.redis.hgetall(key)
        if not job:
            continue  # deleted meanwhile
        ids.add(job["job_id"])
        lives = job["status"] not in TERMINAL
        if lives:
            live.add(job["job_id"])
        if lives or job["kind"] in _LASTING:
            named.update(_texts(json.loads(job["payload"])))
        for field in ("resume", "result"):
            if lives and job.get(field):
                named.update(_texts(json.loads(job[field])))
    return _Jobs(frozenset(ids), frozenset(live), frozenset(named))


async def _run_ids(store: Store) -> set[str]:
    """A run's state may outlive the record of its job."""
    before = len(Keys.RUN_STATE.format(""))
    return {key[before:] async for key in _keys(store, Keys.RUN_STATE)}


async def _keys(store: Store, pattern: str) -> Any:
    async with store.answering():
        async for key in store.redis.scan_iter(match=pattern.format("*"), count=1000):
            yield str(key)


async def _hash(store: Store, key: str) -> dict[str, str]:
    async with store.answering():
        found: Any = await store.redis.hgetall(key)
    return dict(found)


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON value: an id that is named anywhere counts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
