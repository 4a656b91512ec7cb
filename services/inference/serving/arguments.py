"""What a replica is told: by the agent on its command line, and by the registry."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.cluster.errors import BadRequest, NotFound
from services.cluster.records import DeploymentRecord, ModelRecord
from services.cluster.registry import ClusterView
from services.inference.engines.base import EngineConfig
from services.inference.models.architectures import Architectures
from services.inference.settings import InferenceSettings

_DEFAULT_RUNNING = {"cpu": 32, "cuda": 256}


@dataclass(frozen=True)
class Arguments:
    """What the agent says to a replica. `agent_pid` 0: started by hand."""

    replica_id: str
    deployment_id: str
    device_ids: tuple[str, ...]
    device_kind: str
    kv_cache_bytes: int
    pipeline_parallel: int
    device_share: float
    agent_pid: int


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    parser = argparse.ArgumentParser(prog="services.inference.replica")
    parser.add_argument("--replica-id", required=True)
    parser.add_argument("--deployment-id", required=True)
    parser.add_argument("--devices", required=True, help="device ids, separated by commas")
    parser.add_argument("--device-kind", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--kv-cache-bytes", type=int, default=0)
    parser.add_argument("--pipeline-parallel", type=int, default=1, help="stages of layers")
    parser.add_argument("--device-share", type=float, default=0.0, help="of each device, 0: all")
    parser.add_argument("--agent-pid", type=int, default=0)
    found = parser.parse_args(arguments)
    return Arguments(
        found.replica_id,
        found.deployment_id,
        tuple(found.devices.split(",")),
        found.device_kind,
        found.kv_cache_bytes,
        found.pipeline_parallel,
        found.device_share,
        found.agent_pid,
    )


def engine_config(
    arguments: Arguments, settings: InferenceSettings, view: ClusterView
) -> tuple[DeploymentRecord, EngineConfig]:
    """Raises NotFound or BadRequest when what is wanted cannot be run here."""
    deployment = view.deployments.get(arguments.deployment_id)
    if deployment is None:
        raise NotFound(f"There is no deployment {arguments.deployment_id}.")
    if deployment.engine == "echo" and not settings.allow_echo:
        raise BadRequest("The echo engine is a test double; it needs HEARTH_ALLOW_ECHO=1.")
    model = view.models.get(deployment.model)
    if model is None and deployment.engine != "echo":
        raise NotFound(f"There is no model {deployment.model} in the catalogue.")
    kind = arguments.device_kind
    return deployment, EngineConfig(
        model=deployment.model,
        model_folder=model.folder(settings.data_dir) if model else Path(),
        device_kind=kind,
        tensor_parallel=len(arguments.device_ids) // arguments.pipeline_parallel,
        pipeline_parallel=arguments.pipeline_parallel,
        context_tokens=deployment.context_tokens,
        kv_cache_bytes=arguments.kv_cache_bytes,
        device_share=arguments.device_share,
        quantization=deployment.quantization,
        speculative_tokens=deployment.speculative_tokens,
        embeds=bool(model and model.supports_embeddings and not model.supports_completion),
        takes_adapters=model is None or takes_adapters(model),
        chat_template=model.chat_template if model else "",
        fim_family=model.fim_family if model else None,
        tool_parser=model.tool_parser if model else "",
        reasoning_parser=model.reasoning_parser if model else "",
        deployment=deployment.deployment_id,
        can_sleep=deployment.yields_to_runs,
        max_running=deployment.max_running_requests
        or settings.max_running_requests
        or _DEFAULT_RUNNING[kind],
        max_lora_rank=settings.max_lora_rank,
        max_loras_in_batch=settings.max_loras_in_batch,
        max_loaded_adapters=settings.max_loaded_adapters,
        echo_token_seconds=settings.echo_token_seconds,
    )


def takes_adapters(model: ModelRecord) -> bool:
    """An engine that was told to take adapters does not start where its class has none."""
    architecture = Architectures.load().find(model.architecture)
    return architecture is None or architecture.has_lora
