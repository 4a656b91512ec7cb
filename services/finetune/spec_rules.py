"""What a RunSpec must be, looked at by itself. Raises BadRequest that names the field."""

from __future__ import annotations

import re
import time

from pydantic import ValidationError

from services.cluster.errors import BadRequest, Unimplemented
from services.cluster.jobs.windows import TimeWindow
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune import parameters
from services.finetune.parameters import Value

RESERVED_NAMES = {"auto", "base"}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_CASES = 10_000


def check_spec(spec: pb.RunSpec) -> dict[str, Value]:
    """The parameters that are set. Raises Unimplemented for what no worker here can do."""
    if spec.name:
        check_name(spec.name)
    if spec.num_devices > 1:
        raise Unimplemented(
            f"A run takes one device here, not {spec.num_devices}; leave num_devices out.",
            param="num_devices",
        )
    window_of(spec)
    if spec.publish_policy not in pb.PublishPolicy.values():
        raise BadRequest(
            f"There is no publish_policy {spec.publish_policy}.", param="publish_policy"
        )
    if spec.max_evaluation_cases > _MAX_CASES:
        raise BadRequest(
            f"max_evaluation_cases is {spec.max_evaluation_cases}; it must be at most"
            f" {_MAX_CASES}.",
            param="max_evaluation_cases",
        )
    given = parameters.given(spec.parameters)
    parameters.check(given)
    parameters.check_decay_factor(given)
    return given


def window_of(spec: pb.RunSpec) -> TimeWindow | None:
    """When the run may hold devices; None for at any time."""
    if not spec.HasField("window"):
        return None
    window = spec.window
    try:
        return TimeWindow(
            start_minute=window.start_minute,
            end_minute=window.end_minute,
            weekdays=tuple(window.weekdays),
            time_zone=window.time_zone or "UTC",
        )
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(("window", *(str(part) for part in problem["loc"])))
        said = problem["msg"].removeprefix("Value error, ")
        raise BadRequest(f"{field}: {said}.", param=field) from None


def check_name(name: str, param: str = "name") -> None:
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise BadRequest(
            f"{name[:100]!r} is no name for a run: 1 to 64 letters, digits, dots, dashes and"
            f" underscores, and not {' or '.join(sorted(RESERVED_NAMES))}.",
            param=param,
        )


def name_from_time(seconds: float) -> str:
    return time.strftime("run-%Y%m%d-%H%M%S", time.gmtime(seconds))
