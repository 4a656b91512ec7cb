"""When a replica that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

CANNOT_WORK = 2  # exit status of a replica that its settings or its deployment forbid
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_REFUSED_PAUSE_SECONDS = 600.0
_NUM_ENDS_OF_A_FAILURE = 3


@dataclass(frozen=True)
class Ending:
    """How a replica ended, how often in a row, and when it is due again (on the caller's clock).

    One that `waits` never began: what it needs is on its way.
    """

    status: int
    reason: str
    num_in_a_row: int
    retry_at: float
    waits: bool = False

    @property
    def failed(self) -> bool:
        """Rather than being started again as if nothing had happened."""
        if self.waits:
            return False
        return self.status == CANNOT_WORK or self.num_in_a_row >= _NUM_ENDS_OF_A_FAILURE

    @property
    def detail(self) -> str:
        """Continues "Replica x is …" while it will start again, else a sentence."""
        if self.waits:
            return f"waiting for its weights. {self.reason}"
        if self.status == CANNOT_WORK:
            return self.reason
        if self.failed:
            return f"It ended {self.num_in_a_row} times in a row: {self.reason}"
        return f"being started again after it ended: {self.reason}"


def after_end(
    previous: Ending | None, status: int, reason: str, lived_seconds: float, now: float
) -> Ending:
    """Pauses double from half a second to 30 s, and begin anew after a steady minute."""
    num_before = previous.num_in_a_row if previous and lived_seconds < _STEADY_SECONDS else 0
    pause = min(_FIRST_PAUSE_SECONDS * 2**num_before, _LONGEST_PAUSE_SECONDS)
    if status == CANNOT_WORK:
        pause = _REFUSED_PAUSE_SECONDS
    return Ending(status, reason, num_before + 1, now + pause)
