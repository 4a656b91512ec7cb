"""When a replica that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass, replace

CANNOT_WORK = 2  # exit status of a replica that its settings or its deployment forbid
_FIRST_PAUSE_SECONDS = 0.5
_STEADY_SECONDS = 60.0
_FAILED_PAUSE_SECONDS = 600.0
_NUM_ENDS_OF_A_FAILURE = 5


@dataclass(frozen=True)
class Ending:
    """How a replica ended, how often in a row, and when it is due again (on the caller's clock)."""

    status: int
    reason: str
    num_in_a_row: int
    retry_at: float

    @property
    def failed(self) -> bool:
        """It is left alone for a long pause, unless its deployment changes or is restarted."""
        return self.status == CANNOT_WORK or self.num_in_a_row >= _NUM_ENDS_OF_A_FAILURE

    @property
    def detail(self) -> str:
        """Continues "Replica x is …" while it will start again, else a sentence."""
        if self.status == CANNOT_WORK:
            return self.reason
        if self.failed:
            return (
                f"It ended {self.num_in_a_row} times in a row and is left alone for"
                f" {_FAILED_PAUSE_SECONDS / 60:g} minutes, unless its deployment is changed or"
                f" restarted: {self.reason}"
            )
        return f"being started again after it ended: {self.reason}"


def after_end(
    previous: Ending | None, status: int, reason: str, lived_seconds: float, now: float
) -> Ending:
    """Pauses double from half a second to 8 s, and begin anew after a steady minute.

    What has failed, and what cannot work, is tried again after ten minutes: a driver, a disk or
    another host may have come back, and nobody may be there to say so.
    """
    num_before = previous.num_in_a_row if previous and lived_seconds < _STEADY_SECONDS else 0
    ending = Ending(status, reason, num_before + 1, now)
    pause = _FAILED_PAUSE_SECONDS if ending.failed else _FIRST_PAUSE_SECONDS * 2**num_before
    return replace(ending, retry_at=now + pause)
