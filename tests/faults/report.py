"""What a fault did: printed as a table at the end of the run, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_RESUME = 1.5  # of a lease

_HEADER = ("injected", "jobs", "lost", "results of a job", "resumed after", "lease")


@dataclass(frozen=True)
class FaultReport:
    """`lost` of `num_jobs` that were acknowledged. `published` is the most results that one job
    has, None where no job has any. `resume_seconds` from the injection, or from the end of an
    outage of Redis, to the next attempt's claim; None where no attempt had to be repeated.
    """

    injected: str
    num_jobs: int
    lost: int
    published: int | None
    resume_seconds: float | None
    lease_seconds: float

    def check(self) -> None:
        """Raises AssertionError for a promise that was broken."""
        assert self.lost == 0, self
        assert self.published in (None, 1), self
        if self.resume_seconds is not None:
            assert self.resume_seconds <= LONGEST_RESUME * self.lease_seconds, self

    @property
    def cells(self) -> tuple[str, ...]:
        resumed = "-" if self.resume_seconds is None else f"{self.resume_seconds:.2f} s"
        published = "-" if self.published is None else str(self.published)
        return (
            self.injected,
            str(self.num_jobs),
            str(self.lost),
            published,
            resumed,
            f"{self.lease_seconds:g} s",
        )


def table(reports: Sequence[FaultReport]) -> list[str]:
    """One line for each, aligned."""
    rows = [_HEADER, *(report.cells for report in reports)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
