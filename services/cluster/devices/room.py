"""Who has to give devices back so that a request fits: pure functions of a snapshot."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from services.cluster.devices.policy import fit
from services.cluster.devices.records import (
    REPLICA_PREFIX,
    AssignmentRecord,
    AssignmentRequest,
    DeviceSnapshot,
    RoomRequest,
)
from services.cluster.records import DeploymentRecord

_MAX_TRIED = 2000  # sets of one size on one host; beyond that a good one is enough


def yielding_replicas(deployments: Iterable[DeploymentRecord]) -> frozenset[str]:
    """Holders that give their devices back when a run asks for them."""
    return frozenset(
        f"{REPLICA_PREFIX}{replica_id}"
        for deployment in deployments
        if deployment.yields_to_runs
        for replica_id in deployment.replica_ids
    )


def room(
    snapshot: DeviceSnapshot, request: AssignmentRequest, yielding: Collection[str]
) -> tuple[str, ...] | None:
    """The fewest yielding holders, and of those the ones with the fewest bytes, without whom it
    fits. None when it would not fit without all of them; () when it fits as it is.
    """
    if fit(snapshot, request):
        return ()
    places = {(device.host_id, device.kind) for device in snapshot.devices}
    best: tuple[tuple[int, int], tuple[str, ...]] | None = None
    for host_id, kind in sorted(places):
        if request.host_id not in (None, host_id) or request.kind not in (None, kind):
            continue
        here = _of_host(snapshot, host_id)
        found = _room_of_host(here, replace(request, host_id=host_id, kind=kind), yielding)
        if found is not None:
            cost = (len(found), sum(_bytes(here, assignment) for assignment in found))
            if best is None or cost < best[0]:
                best = (cost, tuple(sorted(assignment.holder for assignment in found)))
    return best[1] if best else None


def next_room(
    snapshot: DeviceSnapshot,
    request: AssignmentRequest,
    yielding: Collection[str],
    before: Sequence[str] = (),
) -> tuple[str, ...] | None:
    """Who makes room now, those who were asked before among them.

    They are asked to no avail only when others took what they gave back, or would not do so now.
    """
    rest = _without(snapshot, before)
    more = room(rest, request, set(yielding) - set(before))
    return None if more is None else tuple(sorted({*before, *more}))


def yielding_runs(
    snapshot: DeviceSnapshot, request: AssignmentRequest, runs: Collection[str]
) -> list[AssignmentRecord]:
    """The fewest of `runs` (holders that may be asked to yield) without whom a request fits.

    Empty when it fits as it is, or would not fit without all of them. Their `job_id` is who to ask.
    """
    holders = room(snapshot, request, runs) or ()
    return [assignment for assignment in snapshot.assignments if assignment.holder in holders]


def room_makers(
    requests: Iterable[RoomRequest], deployments: Iterable[DeploymentRecord]
) -> dict[str, str]:
    """By replica id why it must not run, as a sentence. Who does not yield any more, may."""
    may = yielding_replicas(deployments)
    return {
        holder.removeprefix(REPLICA_PREFIX): (
            f"Replica {holder.removeprefix(REPLICA_PREFIX)} makes room for {request.asker} and"
            " comes back after it."
        )
        for request in requests
        for holder in request.holders
        if holder in may
    }


def _room_of_host(
    here: DeviceSnapshot, request: AssignmentRequest, yielding: Collection[str]
) -> tuple[AssignmentRecord, ...] | None:
    """Every set up to some number, the small ones first; else a set of which none is too much."""
    may = [a for a in here.assignments if a.holder in yielding and not a.quarantined]
    if not may or not fit(_without(here, [a.holder for a in may]), request):
        return None
    cheap = sorted(may, key=lambda assignment: (_bytes(here, assignment), assignment.holder))
    for size in range(1, len(cheap)):
        if math.comb(len(cheap), size) > _MAX_TRIED:
            break
        fitting = [
            chosen
            for chosen in combinations(cheap, size)
            if fit(_without(here, [a.holder for a in chosen]), request)
        ]
        if fitting:
            return min(fitting, key=lambda chosen: sum(_bytes(here, a) for a in chosen))
    needed = cheap
    for assignment in reversed(cheap):
        fewer = [other for other in needed if other is not assignment]
        if fit(_without(here, [a.holder for a in fewer]), request):
            needed = fewer
    return tuple(needed)


def _of_host(snapshot: DeviceSnapshot, host_id: str) -> DeviceSnapshot:
    return replace(
        snapshot,
        devices=tuple(d for d in snapshot.devices if d.host_id == host_id),
        assignments=tuple(a for a in snapshot.assignments if a.host_id == host_id),
    )


def _without(snapshot: DeviceSnapshot, holders: Collection[str]) -> DeviceSnapshot:
    gone = set(holders)
    kept = tuple(a for a in snapshot.assignments if a.holder not in gone)
    return replace(snapshot, assignments=kept)


def _bytes(snapshot: DeviceSnapshot, assignment: AssignmentRecord) -> int:
    if assignment.device_bytes:
        return assignment.device_bytes * len(assignment.device_ids)
    return sum(d.total_bytes for d in snapshot.devices if d.device_id in assignment.device_ids)
