"""How the process of a replica is started: its command line, its environment, what forbids it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping

from services.cluster.devices.labels import label
from services.cluster.devices.records import GIB, AssignmentRecord
from services.inference.agent.plan import MemoryPlan, memory_plan, shortage, usable_bytes
from services.inference.agent.reconcile import ReplicaSpec
from services.inference.engines.environment import engine_environment
from services.inference.models.weight_files import is_model_folder
from services.inference.settings import InferenceSettings

_HUB_TOKEN = "HEARTH_HUB_TOKEN"


def plan_for(spec: ReplicaSpec, kind: str, settings: InferenceSettings) -> MemoryPlan:
    return memory_plan(
        spec.engine,
        spec.model,
        kind=kind,
        num_devices=spec.num_devices,
        context_tokens=spec.context_tokens,
        kv_cache_bytes=spec.kv_cache_bytes or int(settings.kv_cache_gib * GIB),
        num_requests=spec.max_running_requests or settings.max_running_requests,
        quantization=spec.quantization,
    )


def obstacle(
    spec: ReplicaSpec, kind: str, settings: InferenceSettings, total_bytes: int = 0
) -> str:
    """Why the replica cannot be started on this host now, as a sentence; "" when it can.

    `total_bytes` has the smallest of its devices, 0 while that is unknown.
    """
    if spec.engine == "echo":
        return "" if settings.allow_echo else "The echo engine needs HEARTH_ALLOW_ECHO=1."
    if spec.model is None:
        return f"There is no model {spec.model_name} in the catalogue."
    folder = spec.model.folder(settings.data_dir)
    if not is_model_folder(folder):
        return (
            f"The weights of {spec.model_name} are not on host {settings.host_id}:"
            f" {folder} is no model folder there."
        )
    usable = usable_bytes(kind, spec.device_bytes, total_bytes)
    return shortage(plan_for(spec, kind, settings), usable)


def replica_command(
    spec: ReplicaSpec,
    assignment: AssignmentRecord,
    kind: str,
    settings: InferenceSettings,
    total_bytes: int = 0,
) -> list[str]:
    """`total_bytes` has the largest of its devices."""
    plan = plan_for(spec, kind, settings)
    return [
        sys.executable,
        "-m",
        "services.inference.replica",
        f"--replica-id={spec.replica_id}",
        f"--deployment-id={spec.deployment_id}",
        f"--devices={','.join(assignment.device_ids)}",
        f"--device-kind={kind}",
        f"--pipeline-parallel={spec.sharding.pipeline_parallel}",
        f"--kv-cache-bytes={plan.engine_kv_cache_bytes(kind, spec.device_bytes)}",
        f"--device-share={_share(spec.device_bytes, total_bytes):.4f}",
        f"--agent-pid={os.getpid()}",
    ]


def _share(device_bytes: int, total_bytes: int) -> float:
    """Rounded down, so that the shares of a device never come to more than it has."""
    return math.floor(10_000 * device_bytes / total_bytes) / 10_000 if total_bytes else 0.0


def replica_environment(
    inherited: Mapping[str, str],
    assignment: AssignmentRecord,
    kind: str,
    settings: InferenceSettings,
) -> dict[str, str]:
    """Without the hub's token: an engine fetches nothing."""
    num_threads = settings.engine_threads or max(len(os.sched_getaffinity(0)) - 1, 1)
    return {
        **{name: value for name, value in inherited.items() if name != _HUB_TOKEN},
        **engine_environment(kind, assignment.device_ids, num_threads),
        **label(assignment),
    }
