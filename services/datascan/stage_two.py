"""Stage 2: the loss of what stage 1 accepted decides what is like code at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from services.datascan.filters import Filters, Reason
from services.datascan.replicas import Replicas, TextLoss
from services.datascan.rules import judgement_of
from services.datascan.scan_progress import ScanProgress
from services.datascan.verdict_rows import Step
from services.datascan.verdict_store import VerdictStore

_BATCH_FILES = 16
_BATCH_BYTES = 256 * 1024


async def stage_two(
    model: str,
    verdicts: VerdictStore,
    replicas: Replicas,
    filters: Filters,
    progress: ScanProgress,
) -> AsyncIterator[int]:
    """How many files have their loss, after each batch. Goes on where an earlier attempt stopped.

    Raises EngineUnavailable when no replica answers.
    """
    after = 0
    while batch := await progress.in_thread(partial(_next_batch, verdicts, after)):
        texts = [text for _, _, text in batch]
        losses = await replicas.score(model, texts)
        await progress.in_thread(partial(_write, verdicts, batch, losses, filters))
        after = batch[-1][0]
        yield len(batch)


def loss_reason(loss: TextLoss, filters: Filters) -> dict[Reason, str]:
    """Which reason a loss makes, with its sentence; none for a good one."""
    if loss.bits_per_byte is None:
        return {Reason.FILTER_EMPTY: "There are fewer than two tokens in it, or no loss."}
    if loss.bits_per_byte > filters.max_loss:
        found, allowed = f"{loss.bits_per_byte:.3f}", f"{filters.max_loss:.3f}"
        return {Reason.LOSS: f"Its loss is {found} bits per byte; {allowed} is allowed."}
    return {}


def _next_batch(verdicts: VerdictStore, after: int) -> list[tuple[int, str, str]]:
    """Number, path and text."""
    batch: list[tuple[int, str, str]] = []
    num_bytes = 0
    for number, path, text_bytes in verdicts.unscored(after, _BATCH_FILES):
        num_bytes += text_bytes
        if batch and num_bytes > _BATCH_BYTES:
            break
        batch.append((number, path, verdicts.text(number)))
    return batch


def _write(
    verdicts: VerdictStore,
    batch: list[tuple[int, str, str]],
    losses: list[TextLoss],
    filters: Filters,
) -> None:
    for (number, path, _), loss in zip(batch, losses, strict=True):
        judged: dict[str, object] = {"step": Step.LOSS}
        if found := loss_reason(loss, filters):
            judgement = judgement_of(found, path, filters)
            judged |= {
                "accepted": judgement.accepted,
                "detail": judgement.detail,
                "forced": judgement.forced,
            }
            reason = judgement.reasons[0]
            judged |= {"reason": 0 if judgement.accepted else reason, "reasons": f",{int(reason)},"}
        verdicts.set_loss(number, loss.bits_per_byte, loss.num_tokens, judged)
    verdicts.commit()
