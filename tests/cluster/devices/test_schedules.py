"""Random schedules of everything that may happen to devices, against the real Redis.

Never two owners, never a leak, and what the pure policy says fits is granted. Clients' clocks jump
all the while: nobody decides by them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.cluster.devices.assignments import Devices
from services.cluster.devices.policy import fit
from services.cluster.devices.records import GIB, AssignmentRecord, AssignmentRequest
from services.cluster.errors import DevicesUnavailable, LeaseLost
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from tests.cluster.devices.hosts import PaperHost
from tests.cluster.devices.index import check_index
from tests.cluster.devices.specs import set_job

T = TypeVar("T")
NUM_GPUS = st.sampled_from([0, 1, 2, 4, 8])
GIBS = st.sampled_from([0, 0, 3, 5, 8, 12, 24])  # 0: exclusive
NUMBER = st.integers(0, 10_000)


@dataclass
class Attempt:
    """Of a run: whoever believes to hold it under this token."""

    run_id: str
    token: int
    assignment: AssignmentRecord | None = None


class Schedules(RuleBasedStateMachine):
    redis_url: ClassVar[str]
    data: ClassVar[Path]
    patch: ClassVar[pytest.MonkeyPatch]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = self.run(Store.connect(self.redis_url))
        self.run(self.store.redis.flushall())
        self.devices = Devices(self.store)
        self.hosts: dict[str, PaperHost] = {}
        self.newest: dict[str, Attempt] = {}  # of the runs that are running
        self.older: list[Attempt] = []  # that may wake up
        self.replicas: dict[str, AssignmentRecord] = {}
        self.num_tokens = self.num_names = 0
        self.skew = 0.0
        real = time.time
        self.patch.setattr(time, "time", lambda: real() + self.skew)

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    def name(self) -> str:
        self.num_names += 1
        return f"n{self.num_names}"

    def any_host(self, number: int) -> PaperHost:
        return list(self.hosts.values())[number % len(self.hosts)]

    def any_attempt(self, number: int) -> Attempt | None:
        attempts = list(self.newest.values())
        return attempts[number % len(attempts)] if attempts else None

    def set_job(self, run_id: str, status: str, token: int) -> None:
        self.run(set_job(self.store, run_id, status, token))

    @initialize(counts=st.lists(NUM_GPUS, min_size=1, max_size=3))
    def some_hosts(self, counts: list[int]) -> None:
        for number, num_gpus in enumerate(counts):
            host = PaperHost(f"h{number}", num_gpus, 24, self.devices, self.data)
            host.heal()
            self.hosts[host.host_id] = host
            self.run(host.look())

    @rule()
    def a_run_is_claimed(self) -> None:
        self.num_tokens += 1
        run_id = self.name()
        self.set_job(run_id, "running", self.num_tokens)
        self.newest[run_id] = Attempt(run_id, self.num_tokens)

    @rule(number=NUMBER, gib=GIBS, k=st.sampled_from([1, 1, 1, 2, 3, 4, 8]), here=st.booleans())
    def a_run_asks(self, number: int, gib: int, k: int, here: bool) -> None:
        attempt = self.any_attempt(number)
        if attempt:
            request = AssignmentRequest(
                f"run/{attempt.run_id}",
                k,
                gib * GIB,
                host_id=self.any_host(number).host_id if here else None,
                job_id=attempt.run_id,
                token=attempt.token,
            )
            attempt.assignment = self.ask(request, attempt.assignment)

    @rule(gib=GIBS, k=st.sampled_from([1, 1, 2, 4]))
    def a_replica_is_placed(self, gib: int, k: int) -> None:
        request = AssignmentRequest(f"replica/{self.name()}", k, gib * GIB)
        if assignment := self.ask(request, None):
            self.replicas[request.holder] = assignment

    @rule(wants=st.lists(st.tuples(GIBS, st.sampled_from([1, 1, 2, 4])), min_size=2, max_size=6))
    def several_are_placed_at_once(self, wants: list[tuple[int, int]]) -> None:
        """One is refused only if there is no room for it after all either."""
        requests = [AssignmentRequest(f"replica/{self.name()}", k, g * GIB) for g, k in wants]
        answers = self.run(self.assign_all(requests))
        after = self.run(self.devices.snapshot())
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, AssignmentRecord):
                self.replicas[request.holder] = answer
                self.hosts[answer.host_id].start(answer)
            else:
                assert isinstance(answer, DevicesUnavailable)
                assert fit(after, request) is None

    async def assign_all(
        self, requests: list[AssignmentRequest]
    ) -> list[AssignmentRecord | BaseException]:
        asking = [self.devices.assign(request) for request in requests]
        return await asyncio.gather(*asking, return_exceptions=True)

    def ask(
        self, request: AssignmentRequest, held: AssignmentRecord | None
    ) -> AssignmentRecord | None:
        """Granted exactly when the pure policy finds room; a process starts then."""
        snapshot = self.run(self.devices.snapshot())
        mine = [a for a in snapshot.assignments if held and a.assignment_id == held.assignment_id]
        fits = fit(snapshot, request)
        try:
            found = self.run(self.devices.assign(request))
        except DevicesUnavailable:
            assert fits is None
            assert not mine
            return None
        if mine:
            assert found == held
            return found
        assert (found.job_id, found.token) == (request.job_id, request.token)
        assert found.assignment_id not in {a.assignment_id for a in snapshot.assignments}
        assert fits is not None
        assert len(set(found.device_ids)) == request.num_devices
        self.hosts[found.host_id].start(found)
        return found

    @rule(number=NUMBER)
    def a_run_releases(self, number: int) -> None:
        attempt = self.any_attempt(number)
        if attempt and attempt.assignment:
            self.hosts[attempt.assignment.host_id].end(attempt.assignment.assignment_id)
            holder = f"run/{attempt.run_id}"
            self.run(self.devices.release(holder, job_id=attempt.run_id, token=attempt.token))
            attempt.assignment = None

    @rule(number=NUMBER)
    def a_replica_is_released(self, number: int) -> None:
        if self.replicas:
            holder = list(self.replicas)[number % len(self.replicas)]
            assignment = self.replicas.pop(holder)
            self.hosts[assignment.host_id].end(assignment.assignment_id)
            self.run(self.devices.release(holder))

    @rule(number=NUMBER, again=st.booleans(), dies=st.booleans())
    def a_lease_is_lost(self, number: int, again: bool, dies: bool) -> None:
        """By a crash, with its processes or without, or by a pause."""
        attempt = self.any_attempt(number)
        if attempt is None:
            return
        del self.newest[attempt.run_id]
        self.older.append(attempt)
        if dies and attempt.assignment:
            self.hosts[attempt.assignment.host_id].end(attempt.assignment.assignment_id)
        self.set_job(attempt.run_id, "queued", attempt.token)
        if again:
            self.num_tokens += 1
            self.set_job(attempt.run_id, "running", self.num_tokens)
            self.newest[attempt.run_id] = Attempt(attempt.run_id, self.num_tokens)

    @rule(number=NUMBER, gib=GIBS, k=st.sampled_from([1, 2]))
    def a_run_is_taken_over_and_asks(self, number: int, gib: int, k: int) -> None:
        """Of those that have devices, while the older attempt's processes are still there."""
        having = [attempt for attempt in self.newest.values() if attempt.assignment]
        if not having:
            return
        old = having[number % len(having)]
        self.older.append(old)
        self.num_tokens += 1
        self.set_job(old.run_id, "running", self.num_tokens)
        new = self.newest[old.run_id] = Attempt(old.run_id, self.num_tokens)
        request = AssignmentRequest(
            f"run/{new.run_id}", k, gib * GIB, job_id=new.run_id, token=new.token
        )
        new.assignment = self.ask(request, None)

    @rule(number=NUMBER, gib=GIBS)
    def an_older_attempt_wakes(self, number: int, gib: int) -> None:
        if not self.older:
            return
        old = self.older[number % len(self.older)]
        before = self.run(self.devices.snapshot())
        holder = f"run/{old.run_id}"
        with pytest.raises(LeaseLost):
            self.run(
                self.devices.assign(
                    AssignmentRequest(holder, 1, gib * GIB, job_id=old.run_id, token=old.token)
                )
            )
        with pytest.raises(LeaseLost):
            self.run(self.devices.release(holder, job_id=old.run_id, token=old.token))
        if old.run_id in self.newest and self.newest[old.run_id].assignment:
            with pytest.raises(LeaseLost):
                self.run(self.devices.release(holder))
        assert self.run(self.devices.snapshot()) == before

    @rule(number=NUMBER)
    def what_an_ended_run_left_is_released(self, number: int) -> None:
        """By somebody who does not know whether its processes have ended."""
        ended = [a for a in self.older if a.run_id not in self.newest]
        if ended:
            self.run(self.devices.release(f"run/{ended[number % len(ended)].run_id}"))

    @rule(number=NUMBER, jump=st.sampled_from([-7200.0, 0.0, 5.0, 86400.0]))
    def an_agent_looks(self, number: int, jump: float) -> None:
        self.run(self.any_host(number).look(jump))

    @rule(number=NUMBER)
    def an_agent_is_restarted(self, number: int) -> None:
        host = self.any_host(number)
        self.run(host.restart())
        for holder, assignment in list(self.replicas.items()):
            if assignment.host_id == host.host_id:
                del self.replicas[holder]
                self.run(self.devices.release(holder))

    @rule(number=NUMBER, long=st.booleans())
    def a_host_vanishes(self, number: int, long: bool) -> None:
        """For half a minute, or for so long that its replicas are placed elsewhere."""
        host = self.any_host(number)
        self.run(self.store.redis.zadd(Keys.HOST_BEATS, {host.host_id: 1.0}, xx=True))
        host.here = False
        if long:
            self.run(self.devices.sweep(elsewhere_seconds=0))
            for holder, assignment in list(self.replicas.items()):
                if not self.hosts[assignment.host_id].here:
                    del self.replicas[holder]

    @rule(number=NUMBER, reason=st.sampled_from(["Xid 79", "lost", "mute"]))
    def a_gpu_turns_sick(self, number: int, reason: str) -> None:
        host = self.any_host(number)
        if host.num_gpus:
            host.make_sick(number % host.num_gpus, reason)

    @rule(number=NUMBER)
    def a_host_heals(self, number: int) -> None:
        self.any_host(number).heal()

    @rule(number=NUMBER)
    def a_stranger_comes(self, number: int) -> None:
        host = self.any_host(number)
        devices = host.seen.take().devices
        host.intrude(devices[number % len(devices)].device_id)

    @rule(number=NUMBER)
    def strangers_go(self, number: int) -> None:
        self.any_host(number).seen.strangers.clear()

    @rule(seconds=st.sampled_from([-86400.0, -60.0, 60.0, 86400.0]))
    def a_clock_jumps(self, seconds: float) -> None:
        self.skew += seconds

    @invariant()
    def nobody_has_what_another_has(self) -> None:
        snapshot = self.run(self.devices.snapshot())
        for device in snapshot.devices:
            held = snapshot.holders(device)
            assert len(held) <= 1 or all(a.device_bytes for a in held)
            assert sum(a.device_bytes for a in held) <= device.total_bytes
        holders = [a.holder for a in snapshot.assignments if not a.quarantined]
        assert len(holders) == len(set(holders))
        assert set(self.run(self.store.redis.hkeys(Keys.DEVICE_HOLDERS))) == set(holders)

    @invariant()
    def nobody_is_on_devices_without_an_assignment(self) -> None:
        snapshot = self.run(self.devices.snapshot())
        known = {(a.host_id, a.assignment_id) for a in snapshot.assignments}
        for host in self.hosts.values():
            for process in host.seen.labelled.values():
                assert (host.host_id, process.assignment_id) in known

    @invariant()
    def the_index_says_what_the_snapshot_says(self) -> None:
        self.run(check_index(self.store, self.devices))

    def teardown(self) -> None:
        """All leases end, all hosts are back and well: then everything is free."""
        try:
            if self.hosts:
                self.everything_ends()
        finally:
            self.run(self.store.close())
            self.runner.close()

    def everything_ends(self) -> None:
        for run_id, attempt in self.newest.items():
            self.set_job(run_id, "failed", attempt.token)
        for holder in self.replicas:
            self.run(self.devices.release(holder))
        for host in self.hosts.values():
            host.heal()
            host.dismiss_newcomers(self.run(self.devices.host_snapshot(host.host_id)).assignments)
            for assignment_id in {p.assignment_id for p in host.seen.labelled.values()}:
                if assignment_id in {a.assignment_id for a in self.replicas.values()}:
                    host.end(assignment_id)
        for _ in range(3):  # one sees and kills, one sees nobody and lifts
            for host in self.hosts.values():
                self.run(host.look())
        snapshot = self.run(self.devices.snapshot())
        assert snapshot.assignments == ()
        assert all(device.healthy for device in snapshot.devices)
        assert self.run(self.store.redis.hlen(Keys.DEVICE_HOLDERS)) == 0
        for host in self.hosts.values():
            whole = AssignmentRequest(
                f"replica/{host.host_id}", max(host.num_gpus, 1), host_id=host.host_id
            )
            assert self.run(self.devices.assign(whole))


def test_whatever_happens_nobody_shares_and_nothing_leaks(
    redis_url: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Schedules.redis_url, Schedules.data, Schedules.patch = redis_url, tmp_path, monkeypatch
    run_state_machine_as_test(
        Schedules,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
