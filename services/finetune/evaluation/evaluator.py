"""The evaluation that a run makes of its best checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from services.cluster.errors import EngineUnavailable, HearthError, NotFound
from services.cluster.pb.v1 import replica_pb2
from services.cluster.records import ReplicaPhase, ReplicaRecord
from services.cluster.registry import Registry
from services.cluster.runs import EvaluationRecord, EvaluationStatus, Interval
from services.finetune.evaluation.cases import cut_cases
from services.finetune.evaluation.comparison import ComparedCase, Comparison, compare
from services.finetune.evaluation.measures import LEAST_CASES, LEAST_FILES
from services.finetune.evaluation.replica import EvaluationReplica
from services.finetune.files import DatasetFile
from services.finetune.settings import FinetuneSettings

DEFAULT_CASES = 300
CASES_FILE = "evaluation-cases.jsonl"
_SHOWN_BYTES = 4096


class StoredCase(msgspec.Struct, frozen=True):
    """A line of the file of cases: the fields of EvaluationCase."""

    path: str
    language: str
    prefix: str
    suffix: str
    middle: str
    base_middle: str
    candidate_middle: str
    base_edit_similarity: float
    candidate_edit_similarity: float


class Evaluator:
    def __init__(self, registry: Registry, settings: FinetuneSettings) -> None:
        self._registry = registry
        self._settings = settings

    async def evaluate(
        self,
        record: EvaluationRecord,
        candidate_id: str,
        files: Sequence[DatasetFile],
        max_cases: int,
        put: Callable[[EvaluationRecord], Awaitable[None]],
        folder: Path,
    ) -> EvaluationRecord:
        """How it ended; `put` hears the fraction. The artifact `candidate_id` is in the store.

        A failure of the replica is the evaluation's, not the run's.
        """
        told_at = 0.0
        telling: set[asyncio.Task[None]] = set()

        def done(fraction: float) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= 1.0:
                told_at = time.monotonic()
                news = record.model_copy(update={"fraction": fraction})
                task = asyncio.ensure_future(put(news))
                telling.add(task)
                task.add_done_callback(telling.discard)

        try:
            async with self._replica(record, candidate_id) as replica:
                found = await compare(
                    replica,
                    candidate_id,
                    cut_cases(files, max_cases or DEFAULT_CASES, seed=0),
                    files,
                    concurrency=self._settings.evaluation_concurrency,
                    seed=0,
                    done=done,
                )
        except HearthError as error:
            return record.model_copy(
                update={
                    "status": EvaluationStatus.FAILED,
                    "error": error.message,
                    "finished_at": time.time(),
                }
            )
        finally:
            await asyncio.gather(*telling, return_exceptions=True)
        await asyncio.to_thread(write_cases, folder / CASES_FILE, found.cases)
        return _finished(record, found)

    @asynccontextmanager
    async def _replica(
        self, record: EvaluationRecord, candidate_id: str
    ) -> AsyncIterator[EvaluationReplica]:
        """A replica that has the candidate loaded, for as long as the block runs.

        It is unloaded in any case: when it is published, the deployments want it and load it.
        """
        found = await self._ready_replica(record.model)
        context = replica_pb2.RequestContext(
            request_id=record.evaluation_id,
            project_id=record.project_id,
            team_id=record.team_id,
        )
        async with EvaluationReplica(found.address, self._settings, context) as replica:
            await replica.load(candidate_id)
            try:
                yield replica
            finally:
                with contextlib.suppress(NotFound, EngineUnavailable):
                    await replica.unload(candidate_id)

    async def _ready_replica(self, model: str) -> ReplicaRecord:
        """The one with the least to do. Raises EngineUnavailable when none comes up in time."""
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(self._settings.evaluation_wait_seconds),
                contextlib.aclosing(self._registry.watch()) as views,
            ):
                async for view in views:
                    ready = [
                        replica
                        for replica in view.replicas.values()
                        if replica.model == model and replica.phase is ReplicaPhase.READY
                    ]
                    if ready:
                        return min(
                            ready, key=lambda r: (r.num_running + r.num_waiting, r.replica_id)
                        )
        raise EngineUnavailable(
            f"No replica of {model} was ready to compare base and adapter; deploy the model, then"
            " publish the checkpoint by hand if it is good."
        )


def _finished(record: EvaluationRecord, found: Comparison) -> EvaluationRecord:
    return record.model_copy(
        update={
            "status": EvaluationStatus.SUCCEEDED,
            "fraction": 1.0,
            "verdict": found.verdict,
            "summary": summary(found),
            "num_cases": len(found.cases),
            "num_files": found.num_files,
            "base": found.base,
            "candidate": found.candidate,
            "edit_similarity_difference": found.edit_similarity_difference,
            "loss_difference": found.loss_difference,
            "finished_at": time.time(),
        }
    )


def summary(found: Comparison) -> str:
    """The verdict with its figures; a sentence."""
    words = found.verdict.replace("_", " ")
    edit = _figures(found.edit_similarity_difference)
    loss = _figures(found.loss_difference)
    needed = f" (it takes {LEAST_CASES} cases of {LEAST_FILES} files)" if "little" in words else ""
    return (
        f"{words.capitalize()}{needed}: edit similarity {found.base.edit_similarity:.3f} →"
        f" {found.candidate.edit_similarity:.3f}, difference {edit}; loss"
        f" {found.base.mean_loss:.3f} → {found.candidate.mean_loss:.3f}, difference {loss}."
    )


def _figures(interval: Interval | None) -> str:
    if interval is None:
        return "not measured"
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def write_cases(place: Path, cases: Sequence[ComparedCase]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        for compared in cases:
            case = compared.case
            stored = StoredCase(
                path=case.path,
                language=case.language,
                prefix=_end_of(case.prefix),
                suffix=_beginning_of(case.suffix),
                middle=case.middle,
                base_middle=compared.base.text,
                candidate_middle=compared.candidate.text,
                base_edit_similarity=compared.base.edit_similarity,
                candidate_edit_similarity=compared.candidate.edit_similarity,
            )
            file.write(msgspec.json.encode(stored) + b"\n")


def read_cases(place: Path, start: int, count: int) -> tuple[list[StoredCase], bool]:
    """Some cases, and whether there are more. A run without cases has no file."""
    if not place.is_file():
        return [], False
    lines = place.read_bytes().splitlines()
    some = [msgspec.json.decode(x, type=StoredCase) for x in lines[start : start + count]]
    return some, start + count < len(lines)


def _end_of(text: str) -> str:
    return text.encode()[-_SHOWN_BYTES:].decode(errors="ignore")


def _beginning_of(text: str) -> str:
    return text.encode()[:_SHOWN_BYTES].decode(errors="ignore")
