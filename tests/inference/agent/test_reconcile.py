from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.cluster.devices.policy import choose
from services.cluster.devices.records import AssignmentRecord, DeviceSnapshot
from services.cluster.errors import DevicesUnavailable
from services.cluster.records import DeploymentRecord
from services.inference.agent.placement import device_kind, request_for
from services.inference.agent.reconcile import (
    Host,
    LocalPhase,
    LocalReplica,
    ReplicaSpec,
    next_steps,
    replica_specs,
)
from tests.inference.agent.specs import MODEL, a_deployment, a_device, a_spec, an_assignment

HERE = Host("here", frozenset({"g0", "g1"}))


def test_replica_ids_are_the_deployments_and_a_number() -> None:
    specs = replica_specs([a_deployment("d", num_replicas=2)], {MODEL.name: MODEL})
    assert list(specs) == ["d-0", "d-1"]
    changed = replica_specs([a_deployment("d", edition=3)], {MODEL.name: MODEL})
    assert list(changed) == ["d-0.3"]
    assert specs["d-1"].holder == "replica/d-1"
    assert specs["d-1"].model == MODEL


def test_what_is_wanted_and_nowhere_is_placed() -> None:
    spec = a_spec()
    steps = next_steps({"d-0": spec}, {}, {}, HERE, 0)
    assert steps.place == [spec]
    assert not steps.start


def test_what_is_placed_here_is_started_and_what_is_placed_elsewhere_is_not() -> None:
    one, other = a_spec(number=0), a_spec(number=1)
    assigned = {"d-0": an_assignment(one), "d-1": an_assignment(other, "there")}
    steps = next_steps({"d-0": one, "d-1": other}, {}, assigned, HERE, 0)
    assert steps.start == [(one, assigned["d-0"])]
    assert steps.place == []
    assert steps.release == []


def test_what_runs_as_wanted_is_left_alone() -> None:
    spec = a_spec()
    local = {"d-0": LocalReplica(spec, an_assignment(spec), LocalPhase.RUNNING)}
    steps = next_steps({"d-0": spec}, local, {"d-0": an_assignment(spec)}, HERE, 0)
    assert (steps.stop, steps.start, steps.release, steps.place) == ([], [], [], [])


def test_a_change_of_the_model_restarts_and_a_change_of_adapters_does_not() -> None:
    running = a_spec()
    local = {"d-0": LocalReplica(running, an_assignment(running), LocalPhase.RUNNING)}
    assigned = {"d-0": an_assignment(running)}
    adapters = a_spec(a_deployment(adapter_ids=("a",)))
    assert next_steps({"d-0": adapters}, local, assigned, HERE, 0).stop == []
    context = a_spec(a_deployment(context_tokens=512))
    assert next_steps({"d-0": context}, local, assigned, HERE, 0).stop == ["d-0"]


def test_a_model_whose_files_have_changed_needs_new_replicas_beside_the_old() -> None:
    running = a_spec()
    local = {"d-0": LocalReplica(running, an_assignment(running), LocalPhase.RUNNING)}
    assigned = {"d-0": an_assignment(running)}
    weights = replace(running, model=MODEL.model_copy(update={"weights_bytes": 3000}))
    steps = next_steps({"d-0": weights}, local, assigned, HERE, 0)
    assert (steps.stop, steps.renew) == ([], ["d-0"])
    both = replace(weights, context_tokens=512)
    assert next_steps({"d-0": both}, local, assigned, HERE, 0).stop == ["d-0"]


def test_one_that_serves_on_is_neither_stopped_nor_loses_its_devices() -> None:
    old = a_spec()
    new = a_spec(a_deployment(edition=1))
    local = {"d-0": LocalReplica(old, an_assignment(old), LocalPhase.RUNNING)}
    assigned = {"d-0": an_assignment(old)}
    wanted = {new.replica_id: new}
    kept = next_steps(wanted, local, assigned, HERE, 0, {"d-0"})
    assert (kept.stop, kept.release, kept.place) == ([], [], [new])
    assert next_steps(wanted, local, assigned, HERE, 0).stop == ["d-0"]
    moved = {"d-0": an_assignment(old, "there")}
    assert next_steps(wanted, local, moved, HERE, 0, {"d-0"}).stop == ["d-0"]


def test_devices_are_released_only_when_the_process_is_gone() -> None:
    spec = a_spec()
    assigned = {"d-0": an_assignment(spec)}
    for phase in (LocalPhase.RUNNING, LocalPhase.STOPPING):
        local = {"d-0": LocalReplica(spec, assigned["d-0"], phase)}
        steps = next_steps({}, local, assigned, HERE, 0)
        assert steps.release == []
        assert steps.stop == (["d-0"] if phase is LocalPhase.RUNNING else [])
    assert next_steps({}, {}, assigned, HERE, 0).release == ["d-0"]
    assert next_steps({}, {}, {"d-0": an_assignment(spec, "there")}, HERE, 0).release == []


def test_an_assignment_that_does_not_suit_any_more_is_released_and_asked_for_again() -> None:
    more = a_spec(a_deployment(devices_per_replica=2))
    assigned = {"d-0": an_assignment(a_spec())}
    assert next_steps({"d-0": more}, {}, assigned, HERE, 0).release == ["d-0"]
    gone = Host("here", frozenset({"g1"}))
    assert next_steps({"d-0": a_spec()}, {}, assigned, gone, 0).release == ["d-0"]
    bound = replace(a_spec(), model=MODEL.model_copy(update={"host_id": "there"}))
    assert next_steps({"d-0": bound}, {}, assigned, HERE, 0).release == ["d-0"]


def test_one_that_ended_waits_unless_something_else_is_wanted() -> None:
    spec = a_spec()
    assigned = {"d-0": an_assignment(spec)}
    local = {"d-0": LocalReplica(spec, assigned["d-0"], LocalPhase.ENDED, retry_at=10.0)}
    waiting = next_steps({"d-0": spec}, local, assigned, HERE, 9.0)
    assert (waiting.start, waiting.retry_at) == ([], 10.0)
    assert next_steps({"d-0": spec}, local, assigned, HERE, 10.0).start
    changed = replace(spec, context_tokens=512)
    assert next_steps({"d-0": changed}, local, assigned, HERE, 9.0).start


def test_replicas_start_one_after_another_on_a_device_and_at_once_on_others() -> None:
    specs = {i: replace(a_spec(), replica_id=i) for i in ("a-0", "b-0", "c-0")}
    specs["a-0"] = replace(specs["a-0"], num_devices=2)
    assigned = {
        "a-0": an_assignment(specs["a-0"], devices=("g0", "g1")),
        "b-0": an_assignment(specs["b-0"], devices=("g1",)),
        "c-0": an_assignment(specs["c-0"], devices=("g2",)),
    }
    host = Host("here", frozenset({"g0", "g1", "g2"}))
    steps = next_steps(specs, {}, assigned, host, 0)
    assert [spec.replica_id for spec, _ in steps.start] == ["a-0", "c-0"]
    assert steps.wait == {"b-0": "Replica b-0 starts when a-0 is ready, on the same device."}

    def after(phase: LocalPhase, *, ready: bool) -> list[str]:
        local = {"a-0": LocalReplica(specs["a-0"], assigned["a-0"], phase, 99.0, ready)}
        return [s.replica_id for s, _ in next_steps(specs, local, assigned, host, 0).start]

    assert after(LocalPhase.RUNNING, ready=False) == ["c-0"]
    assert after(LocalPhase.RUNNING, ready=True) == ["b-0", "c-0"]
    assert after(LocalPhase.ENDED, ready=True) == ["b-0", "c-0"], "it failed: the next one's turn"


def test_one_that_ends_again_and_again_lets_the_others_on_its_device_start_before_it() -> None:
    specs = {i: replace(a_spec(), replica_id=i) for i in ("a-0", "b-0", "c-0")}
    assigned = {i: an_assignment(spec, devices=("g0",)) for i, spec in specs.items()}
    ended = {
        i: LocalReplica(specs[i], assigned[i], LocalPhase.ENDED, retry_at)
        for i, retry_at in (("a-0", 8.0), ("b-0", 7.0))
    }
    for local, first in ((ended, "c-0"), (ended | {"c-0": replace(ended["a-0"])}, "b-0")):
        steps = next_steps(specs, local, assigned, HERE, 9.0)
        assert [spec.replica_id for spec, _ in steps.start] == [first]
        assert len(steps.wait) == 2


def test_one_that_ended_is_forgotten_when_it_is_not_wanted_here() -> None:
    spec = a_spec()
    local = {"d-0": LocalReplica(spec, an_assignment(spec), LocalPhase.ENDED, retry_at=10.0)}
    assert next_steps({}, local, {}, HERE, 0).forget == ["d-0"]
    elsewhere = {"d-0": an_assignment(spec, "there")}
    assert next_steps({"d-0": spec}, local, elsewhere, HERE, 0).forget == ["d-0"]


class World:
    """Hosts whose agents do at once what `next_steps` says; processes stop at the next step."""

    def __init__(self, hosts: dict[str, int]) -> None:
        self.devices = tuple(
            a_device(f"{host}-{n}", host) for host, num in hosts.items() for n in range(num)
        )
        self.hosts = list(hosts)
        self.assigned: dict[str, AssignmentRecord] = {}
        self.local: dict[str, dict[str, LocalReplica]] = {host: {} for host in hosts}

    def snapshot(self) -> DeviceSnapshot:
        return DeviceSnapshot(0, self.devices, tuple(self.assigned.values()))

    def step(self, wanted: dict[str, ReplicaSpec]) -> bool:
        """Every agent makes one pass; whether one of them did anything."""
        acted = [self._pass(host, wanted) for host in self.hosts]
        return any(acted)

    def _pass(self, host_id: str, wanted: dict[str, ReplicaSpec]) -> bool:
        local = self.local[host_id]
        acted = False
        for replica_id, replica in list(local.items()):
            if replica.phase is LocalPhase.STOPPING:
                del local[replica_id]
                acted = True
        device_ids = frozenset(d.device_id for d in self.devices if d.host_id == host_id)
        steps = next_steps(wanted, local, self.assigned, Host(host_id, device_ids), 0)
        for replica_id in steps.stop:
            local[replica_id] = replace(local[replica_id], phase=LocalPhase.STOPPING)
        for replica_id in steps.forget:
            del local[replica_id]
        for replica_id in steps.release:
            assert not any(replica_id in running for running in self.local.values())
            del self.assigned[replica_id]
        for spec, assignment in steps.start:
            local[spec.replica_id] = LocalReplica(spec, assignment, LocalPhase.RUNNING)
        return self._place(steps.place) or acted or bool(steps.stop or steps.release or steps.start)

    def _place(self, specs: list[ReplicaSpec]) -> bool:
        placed = False
        for spec in specs:
            try:
                chosen = choose(self.snapshot(), request_for(spec, device_kind(self.snapshot())))
            except DevicesUnavailable:
                continue
            names = tuple(device.device_id for device in chosen)
            self.assigned[spec.replica_id] = an_assignment(spec, chosen[0].host_id, names)
            placed = True
        return placed


deployments = st.builds(
    a_deployment,
    st.sampled_from(["a", "b", "c"]),
    num_replicas=st.integers(1, 3),
    devices_per_replica=st.integers(1, 2),
    device_bytes=st.sampled_from([0, 2**33]),
    context_tokens=st.sampled_from([0, 512]),
)


@given(st.lists(st.lists(deployments, max_size=3), min_size=1, max_size=4))
def test_whatever_is_wanted_the_replicas_come_to_match_it(
    changes: list[list[DeploymentRecord]],
) -> None:
    world = World({"h1": 2, "h2": 1})
    for number, change in enumerate(changes):
        wanted = replica_specs({d.deployment_id: d for d in change}.values(), {MODEL.name: MODEL})
        # The last change is waited for; the others are overtaken by the next.
        for _ in range(50 if number == len(changes) - 1 else 2):
            acted = world.step(wanted)
        assert number < len(changes) - 1 or not acted
    running = {i: r for local in world.local.values() for i, r in local.items()}
    assert running.keys() == world.assigned.keys()
    assert all(replica.spec == wanted[i] for i, replica in running.items())
    for spec in wanted.values():
        if spec.replica_id not in running:
            try:
                choose(world.snapshot(), request_for(spec, device_kind(world.snapshot())))
            except DevicesUnavailable:
                continue
            raise AssertionError(f"{spec.replica_id} has room and does not run")
