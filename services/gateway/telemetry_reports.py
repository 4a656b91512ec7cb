"""Reports of Refact's agent, as it sends them. What it adds beside is ignored."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.cluster.errors import BadRequest

MAX_RECORDS = 1000
_MAX_COUNT = 1_000_000_000
# A file without an extension has its name instead, percent-encoded.
_MAX_EXTENSION_CHARS = 1000
_MAX_NAME_CHARS = 500
_EARLIEST_AT = 1_577_836_800  # the beginning of 2020: the agent is younger
_CLOCK_SECONDS = 24 * 3600  # that a reporter's clock may be ahead

# Shares of a suggestion, in percent, as the names of the agent's fields end.
_SHARES = {"0": "0", "0_50": "0-50", "50_80": "50-80", "80_100": "80-100", "100": "100"}
# Field of the agent → seconds after the suggestion was accepted, share that was left of it.
REMAINS: Mapping[str, tuple[str, str]] = {
    f"after_{seconds}s_remaining_{ending}": (str(seconds), share)
    for seconds, (ending, share) in product((30, 90, 180, 360), _SHARES.items())
}

Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
# Old agents subtract the robot's characters from what they see, and may end below 0.
Difference = Annotated[
    int, Field(ge=-_MAX_COUNT, le=_MAX_COUNT), AfterValidator(lambda count: max(count, 0))
]
Extension = Annotated[str, Field(max_length=_MAX_EXTENSION_CHARS)]
Name = Annotated[str, Field(max_length=_MAX_NAME_CHARS)]


class _Reported(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Report(_Reported):
    """What all have in common. Times are unix seconds of the reporter's clock."""

    teletype: Name
    enduser_client_version: Name = ""
    ts_start: Annotated[int, Field(ge=_EARLIEST_AT)]
    ts_end: Annotated[int, Field(ge=_EARLIEST_AT)]
    records: list[dict[str, Any]] = Field(max_length=MAX_RECORDS)

    def check_times(self, now: float) -> None:
        """Raises BadRequest for what ends before it starts, or in the future."""
        if self.ts_end < self.ts_start:
            raise BadRequest("ts_end must not be before ts_start.", param="ts_end")
        if self.ts_end > now + _CLOCK_SECONDS:
            raise BadRequest(
                "ts_end is more than a day in the future; set the clock right.", param="ts_end"
            )


class Call(_Reported):
    """What the agent asked of a server, `counter` times with the same end."""

    scope: Name
    success: bool
    counter: Count


class Written(_Reported):
    """Characters in files of one kind; `model` is "" where only a human wrote."""

    file_extension: Extension
    model: Name
    human_characters: Difference
    robot_characters: Count
    completions_cnt: Count


class Remaining(_Reported):
    """How much of the suggestions that were accepted is left. `remains` has the fields of
    `REMAINS`.
    """

    model: Name
    remains: dict[str, Count]

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {**values, "remains": {name: values[name] for name in REMAINS if name in values}}


class CallReport(_Reported):
    records: list[Call]


class WrittenReport(_Reported):
    records: list[Written]


class RemainingReport(_Reported):
    records: list[Remaining]
