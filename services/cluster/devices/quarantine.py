"""When devices of a lost holder are free again, and whose processes stand in the way.

Pure functions of an assignment and of what the host's agent has just seen.
"""

from __future__ import annotations

from collections.abc import Collection

from services.cluster.devices.fingerprint import Fingerprint
from services.cluster.devices.labels import HostProcess
from services.cluster.devices.records import AssignmentRecord, DeviceProcess


def may_free(assignment: AssignmentRecord, seen: Fingerprint) -> bool:
    """Whether nobody of the old holder can still be on the devices.

    A process without a label (or one that cannot be seen from here, as from a container) may be the
    old holder's, unless it was there before the assignment. A device that is there no more holds
    nobody; one whose driver does not tell who is on it may hold anybody.
    """
    if remaining(assignment, seen):
        return False
    for device in seen.devices:
        if device.device_id in assignment.device_ids and (
            device.processes is None or any(_may_be_its(p, assignment) for p in device.processes)
        ):
            return False
    return True


def remaining(assignment: AssignmentRecord, seen: Fingerprint) -> list[HostProcess]:
    """Processes of this host that say that they are the old holder's: those may be killed."""
    return labelled({assignment.assignment_id}, seen)


def labelled(assignment_ids: Collection[str], seen: Fingerprint) -> list[HostProcess]:
    return [
        process
        for process in seen.processes.values()
        if process.assignment_id and process.assignment_id in assignment_ids
    ]


def _may_be_its(process: DeviceProcess, assignment: AssignmentRecord) -> bool:
    if process.assignment_id:
        return process.assignment_id == assignment.assignment_id
    if process.holder:
        return process.holder == assignment.first_holder
    return process.identity not in assignment.strangers
