"""What a RunSpec must be, looked at by itself. Raises BadRequest that names the field."""

from __future__ import annotations

import re
import time

from services.cluster.errors import BadRequest, Unimplemented
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
    if spec.make_room:
        raise Unimplemented(
            "Deployments cannot be asked to make room yet; stop one yourself or leave make_room"
            " out.",
            param="make_room",
        )
    if spec.HasField("window"):
        raise Unimplemented(
            "Runs have no time windows yet; leave window out and start it when it may run.",
            param="window",
        )
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


def check_name(name: str, param: str = "name") -> None:
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise BadRequest(
            f"{name[:100]!r} is no name for a run: 1 to 64 letters, digits, dots, dashes and"
            f" underscores, and not {' or '.join(sorted(RESERVED_NAMES))}.",
            param=param,
        )


def name_from_time(seconds: float) -> str:
    return time.strftime("run-%Y%m%d-%H%M%S", time.gmtime(seconds))
