from __future__ import annotations

import pytest

from services.cluster.devices.records import GIB, AssignmentRecord, DeviceSnapshot
from services.cluster.records import ModelRecord
from services.inference.agent.deployment_plan import DeploymentPlan, beyond_hosts, plan_deployment
from services.inference.agent.sharding import Sharding
from services.inference.settings import InferenceSettings
from tests.inference.agent.specs import a_deployment, a_device

MODEL = ModelRecord(
    name="a/7b",
    origin="local",
    num_parameters=7_000_000_000,
    weights_bytes=14_000_000_000,
    context_tokens=32768,
    kv_values_per_token=2 * 28 * 4 * 128,
    num_layers=28,
    num_heads=28,
    num_kv_heads=4,
)
FOUR = tuple(a_device(f"g{n}") for n in range(4))
SETTINGS = InferenceSettings()


def plan(
    *assignments: AssignmentRecord, gib: float = 24, kind: str = "cuda", **changes: object
) -> DeploymentPlan:
    wanted = a_deployment().model_copy(update={"model": MODEL.name, **changes})
    devices = tuple(a_device(f"g{n}", gib=gib, kind=kind) for n in range(4))
    snapshot = DeviceSnapshot(0, devices, assignments)
    return plan_deployment(wanted, {MODEL.name: MODEL}, snapshot, SETTINGS)


def held(gib: int, *devices: str, holder: str = "run/r") -> AssignmentRecord:
    return AssignmentRecord(
        holder=holder, host_id="here", device_ids=devices, device_bytes=gib * GIB, assigned_at=1.0
    )


def test_what_fits_says_where_and_how_much() -> None:
    found = plan(device_bytes=20 * GIB)
    assert (found.refusal, found.advice) == ("", ())
    assert len(found.placed) == 1
    assert found.usable_bytes == 20 * GIB
    one_context = 2 * 28 * 4 * 128 * 32768 * 2
    room = 20 * GIB - found.memory.weights_bytes - found.memory.overhead_bytes
    assert found.num_contexts == room // one_context
    assert found.max_context_tokens == 32768, "not more than the model's own"


@pytest.mark.parametrize(
    ("num", "sharding"), [(1, Sharding(1)), (2, Sharding(2)), (3, Sharding(1, 3)), (4, Sharding(4))]
)
def test_devices_share_weights_and_cache_as_they_are_sharded(num: int, sharding: Sharding) -> None:
    found = plan(devices_per_replica=num)
    assert found.sharding == sharding
    assert len(found.placed[0].device_ids) == num
    fullest = 10 / 28 if num == 3 else 1 / num
    assert found.memory.weights_bytes == int(14_000_000_000 * fullest)
    assert found.memory.least_kv_cache_bytes == int(2 * 28 * 4 * 128 * 2 * 32768 * fullest)


def test_a_head_that_is_on_two_devices_takes_memory_on_both() -> None:
    wide = MODEL.model_copy(update={"num_heads": 32})
    wanted = a_deployment(devices_per_replica=8).model_copy(update={"model": MODEL.name})
    found = plan_deployment(wanted, {MODEL.name: wide}, DeviceSnapshot(0, FOUR, ()), SETTINGS)
    assert found.sharding == Sharding(8)
    assert found.memory.least_kv_cache_bytes == 2 * 28 * 128 * 2 * 32768
    assert "needs 8 cuda device(s) of one host" in found.refusal
    assert "Set devices_per_replica to 4." in found.advice


def test_a_refusal_says_what_is_needed_what_is_free_and_who_has_the_rest() -> None:
    taken = [held(10, f"g{n}") for n in range(4)]
    found = plan(*taken, device_bytes=20 * GIB)
    assert not found.placed
    for word in ("20.0 GiB each", "14.0 of 24.0 GiB free", "held by run/r (10.0 GiB)"):
        assert word in found.refusal
    assert "Set devices_per_replica to 2." not in found.advice, "the share is too large for it too"


def test_no_advice_is_given_twice() -> None:
    """With a key-value cache of its own, the advised share is the least one too."""
    found = plan(device_bytes=3 * GIB, kv_cache_bytes=2 * GIB, gib=80)
    assert found.advice
    assert len(found.advice) == len(set(found.advice))


def test_each_advice_would_help() -> None:
    found = plan(gib=13)
    assert "too few" in found.refusal
    assert found.advice == [
        "Set quantization to fp8.",
        "Set devices_per_replica to 2.",
        "Set devices_per_replica to 3.",
        "Set devices_per_replica to 4.",
    ]
    assert plan(gib=13, quantization="fp8").refusal == ""
    # A context that is too long is to be made shorter before anything else.
    tight = plan(device_bytes=17 * GIB)
    assert tight.advice[0] == f"Lower context_tokens to {tight.max_context_tokens // 256 * 256}."
    assert plan(device_bytes=17 * GIB, context_tokens=tight.max_context_tokens).refusal == ""


def test_replicas_beyond_the_room_are_counted() -> None:
    found = plan(num_replicas=6)
    assert len(found.placed) == 4
    assert "Lower num_replicas to 4." in found.advice


def test_a_share_instead_of_the_whole_device() -> None:
    found = plan(*(held(2, f"g{n}") for n in range(4)))
    assert found.refusal
    share = found.memory.total_bytes
    assert found.advice[0] == f"Set device_bytes to {share} ({share / GIB:.2f} GiB)."


def test_a_cache_that_holds_no_context_is_refused_with_what_it_holds() -> None:
    found = plan(kv_cache_bytes=GIB // 2)
    assert "hold 9362 tokens; one context of 32768 needs 1.75 GiB" in found.refusal
    assert found.advice[0] == "Lower context_tokens to 9216."


def test_what_no_host_could_hold_is_known_before_it_is_wanted() -> None:
    full = DeviceSnapshot(0, FOUR, tuple(held(24, f"g{n}") for n in range(4)))
    wanted = a_deployment().model_copy(update={"model": MODEL.name, "num_replicas": 9})
    models = {MODEL.name: MODEL}
    assert beyond_hosts(wanted, models, full, SETTINGS) == "", "others may go"
    too_many = wanted.model_copy(update={"devices_per_replica": 8})
    said = beyond_hosts(too_many, models, full, SETTINGS)
    assert "needs 8 cuda device(s)" in said
    assert said.endswith("Set devices_per_replica to 4.")
    too_much = wanted.model_copy(update={"device_bytes": 25 * GIB})
    assert "25.0 GiB each" in beyond_hosts(too_much, models, full, SETTINGS)
    assert beyond_hosts(too_many, models, DeviceSnapshot(0, (), ()), SETTINGS) == ""
