"""What may be wanted: whole sentences for what may not. Pure functions of records."""

from __future__ import annotations

import re

from services.cluster.errors import BadRequest, ModelNotFound, NotFound
from services.cluster.records import AdapterPolicy, DeploymentRecord, ModelRecord
from services.cluster.registry import ClusterView
from services.inference.agent.sharding import MAX_SHARDS, Shape, explain, sharding
from services.inference.engines import ENGINES
from services.inference.models.names import check_model_name
from services.inference.settings import InferenceSettings

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_REPLICAS = 64
_MAX_RUNNING = 4096
_MAX_SPECULATIVE = 16
_LEAST_CONTEXT = 16
QUANTIZATIONS = ("", "fp8")
_NO_BITSANDBYTES = (
    "This version's vLLM has no bitsandbytes any more: use fp8, or weights that are quantized on"
    " disk (AWQ, GPTQ), which need no field."
)


def check_deployment(
    record: DeploymentRecord, view: ClusterView, settings: InferenceSettings
) -> None:
    """Raises BadRequest naming the field, or NotFound for what it refers to."""
    _check_id(record.deployment_id)
    _check_number("num_replicas", record.num_replicas, 1, _MAX_REPLICAS)
    _check_number("devices_per_replica", record.devices_per_replica, 1, MAX_SHARDS)
    _check_number("max_running_requests", record.max_running_requests, 0, _MAX_RUNNING)
    _check_number("speculative_tokens", record.speculative_tokens, 0, _MAX_SPECULATIVE)
    _check_quantization(record.quantization)
    _check_engine(record.engine, settings)
    check_model_name(record.model, "model")
    model = view.models.get(record.model)
    if model is None and record.engine != "echo":
        raise ModelNotFound(
            f"There is no model {record.model} in the catalogue; add it first.", param="model"
        )
    if model is not None:
        _check_context(record, model)
        _check_sharding(record, model)
        _check_speculation(record, model)
    _check_cache(record)
    if len(set(record.adapter_ids)) > settings.max_loaded_adapters:
        raise BadRequest(
            f"{len(record.adapter_ids)} adapters are wanted; a replica loads at most"
            f" {settings.max_loaded_adapters} (HEARTH_MAX_LOADED_ADAPTERS).",
            param="adapter_ids",
        )
    for adapter_id in record.adapter_ids:
        check_adapter_of(adapter_id, record.model, view)
    if record.adapter_policy is AdapterPolicy.NAMED and not record.default_adapter_id:
        raise BadRequest(
            "The adapter policy `named` needs default_adapter_id.", param="default_adapter_id"
        )
    if record.default_adapter_id:
        check_adapter_of(record.default_adapter_id, record.model, view)


def check_adapter_of(adapter_id: str, model: str, view: ClusterView) -> None:
    """Raises NotFound, or BadRequest when the adapter belongs to another model."""
    adapter = view.adapters.get(adapter_id)
    if adapter is None:
        raise NotFound(f"There is no adapter {adapter_id}.")
    if adapter.model != model:
        raise BadRequest(
            f"Adapter {adapter_id} belongs to {adapter.model}; this deployment serves {model}.",
            param="adapter_id",
        )


def _check_id(deployment_id: str) -> None:
    if not _ID.fullmatch(deployment_id):
        raise BadRequest(
            f"{deployment_id!r} is no deployment id: 1 to 64 letters, digits, dots, dashes and"
            " underscores, beginning with a letter or digit.",
            param="deployment_id",
        )


def _check_number(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadRequest(f"{field} must be {least} to {most}, not {value}.", param=field)


def _check_engine(engine: str, settings: InferenceSettings) -> None:
    offered = [name for name in ENGINES if name != "echo" or settings.allow_echo]
    if engine == "echo" and not settings.allow_echo:
        raise BadRequest(
            "The echo engine is a test double; the agent takes it only with HEARTH_ALLOW_ECHO=1.",
            param="engine",
        )
    if engine not in offered:
        raise BadRequest(
            f"There is no engine {engine!r}; there is {', '.join(offered)}.", param="engine"
        )


def check_device_kind(record: DeploymentRecord, kind: str) -> None:
    """What the devices of the cluster cannot do, whatever is free. Raises BadRequest."""
    if kind == "cpu" and record.quantization:
        raise BadRequest(
            f"quantization {record.quantization!r} needs a GPU; processors compute in float32."
            " Leave it empty.",
            param="quantization",
        )
    if kind == "cpu" and record.speculative_tokens and record.engine == "vllm":
        # vLLM looks for the tokens with numba, which its CPU build is installed without.
        raise BadRequest(
            f"speculative_tokens is {record.speculative_tokens}; guessing ahead needs a GPU. Set it"
            " to 0.",
            param="speculative_tokens",
        )
    if kind == "cpu" and record.devices_per_replica > 1:
        raise BadRequest(
            f"devices_per_replica is {record.devices_per_replica}; a host without GPU has one"
            " device, its processors.",
            param="devices_per_replica",
        )


def _check_quantization(quantization: str) -> None:
    if quantization not in QUANTIZATIONS:
        raise BadRequest(
            _NO_BITSANDBYTES
            if quantization == "bitsandbytes"
            else f"quantization must be empty or fp8, not {quantization!r}.",
            param="quantization",
        )


def _check_sharding(record: DeploymentRecord, model: ModelRecord) -> None:
    shape = Shape.of(model)
    if sharding(shape, record.devices_per_replica) is None:
        raise BadRequest(
            explain(model.name, shape, record.devices_per_replica), param="devices_per_replica"
        )


def _check_speculation(record: DeploymentRecord, model: ModelRecord) -> None:
    if record.speculative_tokens and not model.supports_completion:
        raise BadRequest(
            f"speculative_tokens is {record.speculative_tokens}, but {model.name} makes embeddings"
            " and generates nothing; set it to 0.",
            param="speculative_tokens",
        )


def _check_cache(record: DeploymentRecord) -> None:
    if record.device_bytes and record.kv_cache_bytes >= record.device_bytes:
        raise BadRequest(
            f"kv_cache_bytes is {record.kv_cache_bytes}, and the whole share of a device"
            f" {record.device_bytes} (device_bytes): nothing is left for the weights.",
            param="kv_cache_bytes",
        )


def _check_context(record: DeploymentRecord, model: ModelRecord) -> None:
    if 0 < record.context_tokens < _LEAST_CONTEXT:
        raise BadRequest(
            f"context_tokens is {record.context_tokens}; at least {_LEAST_CONTEXT} are of use, and"
            f" 0 stands for the {model.context_tokens} of {model.name}.",
            param="context_tokens",
        )
    if record.engine != "echo" and record.context_tokens > model.context_tokens:
        raise BadRequest(
            f"context_tokens is {record.context_tokens}; {model.name} takes at most"
            f" {model.context_tokens}, which 0 stands for.",
            param="context_tokens",
        )
