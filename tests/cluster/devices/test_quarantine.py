from __future__ import annotations

import pytest

from services.cluster.devices.fingerprint import Fingerprint
from services.cluster.devices.labels import HostProcess
from services.cluster.devices.quarantine import labelled, may_free, remaining
from services.cluster.devices.records import DeviceProcess
from tests.cluster.devices.specs import a_device, an_assignment

LOST = an_assignment("quarantine/run/r", ("g0",)).model_copy(
    update={"assignment_id": "lost", "strangers": ("7:5",), "quarantined_at": 1.0}
)


def seen(*on_g0: DeviceProcess, labels: tuple[HostProcess, ...] = ()) -> Fingerprint:
    device = a_device("g0").model_copy(update={"processes": on_g0})
    return Fingerprint((device, a_device("g1")), {p.pid: p for p in labels})


def a_process(assignment_id: str) -> HostProcess:
    return HostProcess(9, 1, 9, 9, 0, "run/r", assignment_id, frozenset({"g0"}))


@pytest.mark.parametrize(
    ("process", "frees"),
    [
        (DeviceProcess(pid=7, started=5), True),  # was there before
        (DeviceProcess(pid=7, started=6), False),  # another one with its pid
        (DeviceProcess(pid=8), False),  # unknown, as from a container
        (DeviceProcess(pid=8, assignment_id="lost", holder="run/r"), False),
        (DeviceProcess(pid=8, assignment_id="other", holder="run/r"), True),  # a newer attempt
        (DeviceProcess(pid=8, holder="run/r"), False),
        (DeviceProcess(pid=8, holder="run/s"), True),
    ],
)
def test_who_keeps_devices_in_quarantine(process: DeviceProcess, frees: bool) -> None:
    assert may_free(LOST, seen(process)) == frees


def test_a_labelled_process_blocks_before_the_driver_lists_it() -> None:
    assert not may_free(LOST, seen(labels=(a_process("lost"),)))
    assert may_free(LOST, seen(labels=(a_process("other"),)))


def test_a_driver_that_does_not_tell_frees_nothing() -> None:
    mute = a_device("g0").model_copy(update={"processes": None})
    assert not may_free(LOST, Fingerprint((mute,), {}))
    assert may_free(LOST, Fingerprint((a_device("g1"),), {}))  # the device is there no more


def test_only_those_with_its_label_remain() -> None:
    mine, other = a_process("lost"), a_process("other")
    assert remaining(LOST, seen(labels=(mine,))) == [mine]
    assert remaining(LOST, seen(labels=(other,))) == []
    assert labelled({""}, seen(labels=(a_process(""),))) == []
