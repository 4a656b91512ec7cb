"""What would become of a deployment, and what to change when it does not fit.

Pure functions of records. Every advice was tried: with it the deployment would fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.cluster.devices.records import GIB, AssignmentRecord, DeviceSnapshot
from services.cluster.records import DeploymentRecord, ModelRecord
from services.inference.agent.deployment_rules import QUANTIZATIONS
from services.inference.agent.launch import plan_for
from services.inference.agent.placement import device_kind, simulate
from services.inference.agent.plan import MemoryPlan, shortage, usable_bytes
from services.inference.agent.reconcile import ReplicaSpec, replica_specs
from services.inference.agent.sharding import Shape, Sharding, explain, valid_counts
from services.inference.settings import InferenceSettings

_LEAST_ADVISED_CONTEXT = 512
_CONTEXT_STEP = 256


@dataclass(frozen=True)
class DeploymentPlan:
    """`placed` has one assignment for each replica that finds room. `refusal` is "" if all do.

    `usable_bytes` is what an engine has of each device. `num_contexts` whole contexts fit into its
    cache, and the longest one that would is of `max_context_tokens`; both 0 while nothing is known.
    """

    memory: MemoryPlan
    sharding: Sharding
    sharding_reason: str
    device_counts: Sequence[int]
    placed: Sequence[AssignmentRecord]
    usable_bytes: int
    num_contexts: int
    max_context_tokens: int
    refusal: str
    advice: Sequence[str] = ()


def plan_deployment(
    wanted: DeploymentRecord,
    models: Mapping[str, ModelRecord],
    snapshot: DeviceSnapshot,
    settings: InferenceSettings,
) -> DeploymentPlan:
    """`wanted` is one that `deployment_rules` let pass."""
    plan = _plan(wanted, models, snapshot, settings)
    if not plan.refusal:
        return plan
    advice = [
        sentence
        for changed, sentence in _changes(wanted, plan, models.get(wanted.model), snapshot)
        if not _plan(changed, models, snapshot, settings).refusal
    ]
    return replace(plan, advice=advice)


def beyond_hosts(
    wanted: DeploymentRecord,
    models: Mapping[str, ModelRecord],
    snapshot: DeviceSnapshot,
    settings: InferenceSettings,
) -> str:
    """Why no host could hold one replica if all its devices were free; "" when one could.

    Nothing is said while no device is known: agents may be starting.
    """
    if not snapshot.devices:
        return ""
    healthy = tuple(d.model_copy(update={"healthy": True}) for d in snapshot.devices)
    empty = DeviceSnapshot(snapshot.version, healthy, ())
    one = wanted.model_copy(update={"num_replicas": 1})
    plan = plan_deployment(one, models, empty, settings)
    return " ".join((plan.refusal, *plan.advice)) if plan.refusal else ""


def _plan(
    wanted: DeploymentRecord,
    models: Mapping[str, ModelRecord],
    snapshot: DeviceSnapshot,
    settings: InferenceSettings,
) -> DeploymentPlan:
    specs = list(replica_specs([wanted], models).values())
    kind, spec = device_kind(snapshot), specs[0]
    memory = plan_for(spec, kind, settings)
    placed, refusal = simulate(snapshot, specs)
    usable = usable_bytes(kind, wanted.device_bytes, _device_bytes(snapshot, kind, spec, placed))
    problem = shortage(memory, usable)
    cache = memory.engine_kv_cache_bytes(kind, usable)
    shape = Shape.of(spec.model) if spec.model else Shape()
    model_tokens = spec.model.context_tokens if spec.model else 0
    return DeploymentPlan(
        memory=memory,
        sharding=spec.sharding,
        sharding_reason=explain(wanted.model, shape, wanted.devices_per_replica),
        device_counts=valid_counts(shape),
        placed=() if problem else placed,
        usable_bytes=usable,
        num_contexts=memory.num_contexts(cache),
        max_context_tokens=min(memory.largest_context(cache), model_tokens),
        refusal=problem or refusal,
    )


def _device_bytes(
    snapshot: DeviceSnapshot, kind: str, spec: ReplicaSpec, placed: Sequence[AssignmentRecord]
) -> int:
    """Of the smallest device that is given, else of the largest that might be; 0: none is known."""
    given = {device_id for assignment in placed for device_id in assignment.device_ids}
    sizes = [d.total_bytes for d in snapshot.devices if d.device_id in given]
    others = [
        device.total_bytes
        for device in snapshot.devices
        if device.kind == kind and spec.host_id in (None, device.host_id)
    ]
    return min(sizes) if sizes else max(others, default=0)


def _changes(
    wanted: DeploymentRecord,
    plan: DeploymentPlan,
    model: ModelRecord | None,
    snapshot: DeviceSnapshot,
) -> Iterator[tuple[DeploymentRecord, str]]:
    """What might help, the least change first, each with its sentence."""
    memory, kind = plan.memory, device_kind(snapshot)
    tokens = plan.max_context_tokens // _CONTEXT_STEP * _CONTEXT_STEP
    if _LEAST_ADVISED_CONTEXT <= tokens < memory.context_tokens:
        yield (
            wanted.model_copy(update={"context_tokens": tokens}),
            f"Lower context_tokens to {tokens}.",
        )
    for share in dict.fromkeys((memory.total_bytes, memory.least_bytes)):
        if wanted.device_bytes != share:
            yield (
                wanted.model_copy(update={"device_bytes": share}),
                f"Set device_bytes to {share} ({share / GIB:.2f} GiB).",
            )
    if plan.placed:
        num = len(plan.placed)
        yield wanted.model_copy(update={"num_replicas": num}), f"Lower num_replicas to {num}."
    for quantization in QUANTIZATIONS:
        if kind == "cuda" and quantization and not wanted.quantization and model:
            yield (
                wanted.model_copy(update={"quantization": quantization}),
                f"Set quantization to {quantization}.",
            )
    for count in plan.device_counts:
        if count != wanted.devices_per_replica:
            yield (
                wanted.model_copy(update={"devices_per_replica": count}),
                f"Set devices_per_replica to {count}.",
            )
