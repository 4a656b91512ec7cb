"""Base and candidate on the same cases and files, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.cluster.runs import EvaluationVerdict, Interval, Scores
from services.finetune.evaluation.cases import Case
from services.finetune.evaluation.measures import (
    FileDifference,
    bootstrap,
    edit_similarity,
    percentile,
    verdict,
)
from services.finetune.evaluation.replica import EvaluationReplica
from services.finetune.files import DatasetFile

# What a CPU scores in a minute or two; more would hardly narrow the interval.
_SCORED_CHARS = 6_000
_MAX_SCORED_FILES = 64
_SCORED_TOGETHER = 8
_CASES_SHARE = 0.9  # of the work, for the fraction


@dataclass(frozen=True)
class Answer:
    text: str
    seconds: float
    edit_similarity: float


@dataclass(frozen=True)
class ComparedCase:
    case: Case
    base: Answer
    candidate: Answer


@dataclass(frozen=True)
class Comparison:
    """Differences are candidate minus base; None where there was nothing to measure."""

    cases: Sequence[ComparedCase]
    num_files: int
    base: Scores
    candidate: Scores
    edit_similarity_difference: Interval | None
    loss_difference: Interval | None
    verdict: EvaluationVerdict


@dataclass(frozen=True)
class _FileLoss:
    base: float
    candidate: float
    num_tokens: int


async def compare(
    replica: EvaluationReplica,
    candidate_id: str,
    cases: Sequence[Case],
    files: Sequence[DatasetFile],
    *,
    concurrency: int,
    seed: int,
    done: Callable[[float], None],
) -> Comparison:
    """`done` hears the fraction. Raises what the replica raised."""
    slots = asyncio.Semaphore(concurrency)
    num_done = 0

    async def one(case: Case) -> ComparedCase:
        nonlocal num_done
        async with slots:
            base = _answer(case, *await replica.complete(case, ""))
            candidate = _answer(case, *await replica.complete(case, candidate_id))
        num_done += 1
        done(_CASES_SHARE * num_done / len(cases))
        return ComparedCase(case, base, candidate)

    running = [asyncio.create_task(one(case)) for case in cases]
    try:
        compared = list(await asyncio.gather(*running))
    finally:
        for task in running:
            task.cancel()
    losses = await _losses(replica, candidate_id, files[:_MAX_SCORED_FILES])
    done(1.0)
    edit = bootstrap(_edit_differences(compared), seed) if compared else None
    loss = bootstrap(_loss_differences(losses), seed) if losses else None
    return Comparison(
        cases=compared,
        num_files=len({compared_case.case.path for compared_case in compared}),
        base=_scores([c.base for c in compared], [f.base for f in losses.values()], losses),
        candidate=_scores(
            [c.candidate for c in compared], [f.candidate for f in losses.values()], losses
        ),
        edit_similarity_difference=edit,
        loss_difference=loss,
        verdict=verdict(edit, len(compared)),
    )


def _answer(case: Case, text: str, seconds: float) -> Answer:
    return Answer(text, seconds, edit_similarity(text, case.middle))


async def _losses(
    replica: EvaluationReplica, candidate_id: str, files: Sequence[DatasetFile]
) -> dict[str, _FileLoss]:
    found: dict[str, _FileLoss] = {}
    for begin in range(0, len(files), _SCORED_TOGETHER):
        some = files[begin : begin + _SCORED_TOGETHER]
        texts = [file.text[:_SCORED_CHARS] for file in some]
        base = await replica.losses(texts, "")
        candidate = await replica.losses(texts, candidate_id)
        for file, (base_loss, num_tokens), (loss, _) in zip(some, base, candidate, strict=True):
            found[file.path] = _FileLoss(base_loss, loss, num_tokens)
    return found


def _edit_differences(compared: Sequence[ComparedCase]) -> Mapping[str, FileDifference]:
    found: dict[str, FileDifference] = {}
    for one in compared:
        so_far = found.get(one.case.path, FileDifference(0.0, 0.0))
        difference = one.candidate.edit_similarity - one.base.edit_similarity
        found[one.case.path] = FileDifference(so_far.total + difference, so_far.weight + 1)
    return found


def _loss_differences(losses: Mapping[str, _FileLoss]) -> Mapping[str, FileDifference]:
    return {
        path: FileDifference(loss.candidate - loss.base, loss.num_tokens)
        for path, loss in losses.items()
    }


def _scores(
    answers: Sequence[Answer], sums: Sequence[float], losses: Mapping[str, _FileLoss]
) -> Scores:
    seconds = [answer.seconds for answer in answers]
    num_tokens = sum(loss.num_tokens for loss in losses.values())
    return Scores(
        edit_similarity=_mean([answer.edit_similarity for answer in answers]),
        exact_match_share=_mean([float(answer.edit_similarity == 1) for answer in answers]),
        mean_loss=sum(sums) / num_tokens if num_tokens else 0.0,
        latency_p50_seconds=percentile(seconds, 50),
        latency_p95_seconds=percentile(seconds, 95),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
