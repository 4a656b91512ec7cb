"""Stage 2: the loss of what stage 1 accepted decides what is like code at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from services.datascan.filters import Filters, Reason
from services.datascan.loss_memory import LossMemory
from services.datascan.replicas import Replicas, TextLoss
from services.datascan.rules import judgement_of
from services.datascan.scan_progress import ScanProgress
from services.datascan.verdict_rows import Step
from services.datascan.verdict_store import VerdictStore

_BATCH_FILES = 16
_BATCH_BYTES = 256 * 1024


@dataclass(frozen=True)
class _Unscored:
    number: int
    path: str
    text: str


def reuse_losses(verdicts: VerdictStore, memory: LossMemory, filters: Filters) -> Iterator[int]:
    """How many files have the loss that an earlier scan was told, after each batch."""
    after = 0
    while batch := _next_batch(verdicts, after):
        known = memory.known([file.text for file in batch])
        _write(verdicts, batch, known, filters)
        after = batch[-1].number
        yield sum(file.text in known for file in batch)


async def stage_two(
    model: str,
    verdicts: VerdictStore,
    replicas: Replicas,
    memory: LossMemory,
    filters: Filters,
    progress: ScanProgress,
) -> AsyncIterator[int]:
    """How many files have their loss, after each batch. Goes on where an earlier attempt stopped.

    Raises EngineUnavailable when no replica answers.
    """
    after = 0
    while batch := await progress.in_thread(partial(_next_batch, verdicts, after)):
        texts = [file.text for file in batch]
        losses = dict(zip(texts, await replicas.score(model, texts), strict=True))
        await progress.in_thread(partial(_write, verdicts, batch, losses, filters))
        await progress.in_thread(partial(memory.keep, losses))  # last: the lease was held then
        after = batch[-1].number
        yield len(batch)


def loss_reason(loss: TextLoss, filters: Filters) -> dict[Reason, str]:
    """Which reason a loss makes, with its sentence; none for a good one."""
    if loss.bits_per_byte is None:
        return {Reason.FILTER_EMPTY: "There are fewer than two tokens in it, or no loss."}
    if loss.bits_per_byte > filters.max_loss:
        found, allowed = f"{loss.bits_per_byte:.3f}", f"{filters.max_loss:.3f}"
        return {Reason.LOSS: f"Its loss is {found} bits per byte; {allowed} is allowed."}
    return {}


def _next_batch(verdicts: VerdictStore, after: int) -> list[_Unscored]:
    batch: list[_Unscored] = []
    num_bytes = 0
    for number, path, text_bytes in verdicts.unscored(after, _BATCH_FILES):
        num_bytes += text_bytes
        if batch and num_bytes > _BATCH_BYTES:
            break
        batch.append(_Unscored(number, path, verdicts.text(number)))
    return batch


def _write(
    verdicts: VerdictStore,
    batch: Sequence[_Unscored],
    losses: Mapping[str, TextLoss],
    filters: Filters,
) -> None:
    """Of the files that have a loss, by text."""
    for file in batch:
        loss = losses.get(file.text)
        if loss is None:
            continue
        judged: dict[str, object] = {"step": Step.LOSS}
        if found := loss_reason(loss, filters):
            judgement = judgement_of(found, file.path, filters)
            judged |= {
                "accepted": judgement.accepted,
                "detail": judgement.detail,
                "forced": judgement.forced,
            }
            reason = judgement.reasons[0]
            judged |= {"reason": 0 if judgement.accepted else reason, "reasons": f",{int(reason)},"}
        verdicts.set_loss(file.number, loss.bits_per_byte, loss.num_tokens, judged)
    verdicts.commit()
