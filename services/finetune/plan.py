"""What a run would do: the spec filled in, every parameter chosen, its memory, whether it fits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.cluster.artifacts.manifest import Manifest
from services.cluster.datasets import Datasets as DatasetRecords
from services.cluster.devices.assignments import Devices
from services.cluster.devices.policy import choose
from services.cluster.devices.records import AssignmentRequest, DeviceSnapshot
from services.cluster.errors import BadRequest, Conflict, DevicesUnavailable, NotFound
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.projects import Projects
from services.cluster.records import ModelRecord
from services.finetune import parameters, schedule
from services.finetune.bases import Bases
from services.finetune.datasets import Datasets, DatasetSize
from services.finetune.memory import TrainingMemory, read_shape, training_memory
from services.finetune.model_parameters import narrowed
from services.finetune.parameters import Parameter, Value
from services.finetune.schedule import Choice, Workload
from services.finetune.spec_rules import check_spec

_FEW_TEST_FILES = 5
_ORIGINS = {
    schedule.USER: pb.PARAMETER_ORIGIN_USER,
    schedule.SCHEDULE: pb.PARAMETER_ORIGIN_SCHEDULE,
    schedule.DEFAULT: pb.PARAMETER_ORIGIN_DEFAULT,
}


@dataclass(frozen=True)
class Planned:
    """`spec` has dataset, project and model filled in."""

    spec: pb.RunSpec
    plan: pb.RunPlan
    model: ModelRecord
    dataset: Manifest


class Planner:
    """Plans for devices of this host: the service trains where it runs."""

    def __init__(
        self,
        bases: Bases,
        datasets: Datasets,
        scanned: DatasetRecords,
        projects: Projects,
        devices: Devices,
        host_id: str,
    ) -> None:
        """`scanned`: what the scans that made the datasets have said of them."""
        self._projects = projects
        self._bases = bases
        self._datasets = datasets
        self._scanned = scanned
        self._devices = devices
        self._host_id = host_id

    async def parameters(self, model_name: str) -> Sequence[Parameter]:
        """The table, narrowed to a base model; an empty name for the general one.

        Raises ModelNotFound, and Conflict for a model that cannot be trained here.
        """
        if not model_name:
            return parameters.PARAMETERS
        try:
            model = await self._bases.get(model_name)
            shape = await asyncio.to_thread(read_shape, Path(model.local_path))
        except BadRequest as error:  # the request is right, the model is not one of those
            raise Conflict(error.message, param="model") from None
        return narrowed(model.context_tokens, sorted(shape.linear), has_fim=bool(model.fim_family))

    async def plan(self, asked: pb.RunSpec) -> Planned:
        """Raises BadRequest that names the field, NotFound, Conflict or Unimplemented."""
        given = check_spec(asked)
        asked = await self._completed(asked)
        dataset = await self._datasets.find(asked.dataset_id, asked.project_id)
        model = await self._bases.get(asked.model)
        folder = Path(model.local_path)
        size = await self._datasets.size(dataset.artifact_id, folder)
        if not size.num_train_files:
            raise BadRequest(
                f"Dataset {dataset.artifact_id} has no file to train on.", param="dataset_id"
            )
        shape = await asyncio.to_thread(read_shape, folder)
        snapshot = await self._devices.snapshot()
        kind = device_kind(snapshot, self._host_id)
        workload = Workload(
            num_train_tokens=size.num_train_tokens,
            device_kind=kind,
            num_parameters=shape.num_parameters,
            context_tokens=model.context_tokens,
            has_fim=bool(model.fim_family),
            target_modules=tuple(sorted(shape.linear)),
        )
        _check_for_model(given, workload, model)
        choices = schedule.choose(given, workload)
        values = {name: choice.value for name, choice in choices.items()}
        parameters.check_together(values, model.context_tokens)
        message = parameters.to_message(values)
        memory = training_memory(
            shape,
            device_kind=kind,
            lora_r=message.lora_r,
            target_modules=list(message.target_modules),
            context_tokens=message.context_tokens,
            micro_batch_size=1,
            low_gpu_mem_mode=message.low_gpu_mem_mode,
        )
        spec = pb.RunSpec()
        spec.CopyFrom(asked)
        spec.dataset_id, spec.model = dataset.artifact_id, model.name
        spec.project_id = dataset.project_id
        plan = _message(spec, message, choices, size, memory, workload)
        mean_loss = await self._mean_loss(dataset.artifact_id, model.name)
        if mean_loss is not None:
            plan.mean_loss = mean_loss
        request = request_for("run/planned", kind, memory.total_bytes, self._host_id)
        plan.fits, plan.fits_now, plan.refusal = fit(snapshot, request)
        return Planned(spec, plan, model, dataset)

    async def _completed(self, asked: pb.RunSpec) -> pb.RunSpec:
        """With the project's dataset in force and its model where the caller named none.

        The newest artifact need not be in force: a scan of what was scanned before makes none.
        """
        if not asked.project_id or (asked.dataset_id and asked.model):
            return asked
        view = await self._projects.get(asked.project_id)
        found = pb.RunSpec()
        found.CopyFrom(asked)
        found.dataset_id = asked.dataset_id or view.latest_dataset_id
        found.model = asked.model or view.project.finetune_model
        return found

    async def _mean_loss(self, dataset_id: str, model_name: str) -> float | None:
        """Of train, in nats per token. None unless the scan has asked this very model."""
        try:
            record = await self._scanned.get(dataset_id)
        except NotFound:
            return None
        return record.train.mean_loss if record.model == model_name else None


def device_kind(snapshot: DeviceSnapshot, host_id: str) -> str:
    """A host that has GPUs trains on them."""
    own = [device for device in snapshot.devices if device.host_id == host_id]
    return "cuda" if any(device.kind == "cuda" for device in own) else "cpu"


def request_for(holder: str, kind: str, device_bytes: int, host_id: str) -> AssignmentRequest:
    return AssignmentRequest(holder=holder, device_bytes=device_bytes, host_id=host_id, kind=kind)


def fit(snapshot: DeviceSnapshot, request: AssignmentRequest) -> tuple[bool, bool, str]:
    """Whether it fits when devices are free, whether it fits now, and why it does not."""
    try:
        choose(replace(snapshot, assignments=()), request)
    except DevicesUnavailable as refusal:
        return False, False, refusal.message
    try:
        choose(snapshot, request)
    except DevicesUnavailable as refusal:
        return True, False, refusal.message
    return True, True, ""


def _check_for_model(given: Mapping[str, Value], workload: Workload, model: ModelRecord) -> None:
    names = given.get("target_modules", [])
    unknown = [n for n in names if n not in workload.target_modules] if names else []  # type: ignore[union-attr]
    if unknown:
        raise BadRequest(
            f"{model.name} has no linear module {unknown[0]!r} in its blocks; it has"
            f" {', '.join(workload.target_modules)}.",
            param="target_modules",
        )
    if given.get("fim_share") and not workload.has_fim:
        raise BadRequest(
            f"{model.name} has no fill-in-the-middle tokens; fim_share must be 0.",
            param="fim_share",
        )


def _message(
    spec: pb.RunSpec,
    values: pb.RunParameters,
    choices: Mapping[str, Choice],
    size: DatasetSize,
    memory: TrainingMemory,
    workload: Workload,
) -> pb.RunPlan:
    num_sequences = schedule.num_sequences(size.num_train_tokens, values.context_tokens)
    return pb.RunPlan(
        dataset_id=spec.dataset_id,
        model=spec.model,
        parameters=values,
        choices=[
            pb.ParameterChoice(
                name=name,
                value=parameters.json_value(choice.value),
                origin=_ORIGINS[choice.origin],
                reason=choice.reason,
            )
            for name, choice in choices.items()
        ],
        num_train_tokens=size.num_train_tokens,
        num_sequences=num_sequences,
        num_epochs=values.train_steps * values.batch_size / num_sequences,
        memory=pb.RunMemory(
            total_bytes=memory.total_bytes,
            weights_bytes=memory.weights_bytes,
            trainable_bytes=memory.trainable_bytes,
            activation_bytes=memory.activation_bytes,
            overhead_bytes=memory.overhead_bytes,
        ),
        num_devices=1,
        micro_batch_size=1,
        warnings=_warnings(size, workload),
    )


def _warnings(size: DatasetSize, workload: Workload) -> Sequence[str]:
    found = []
    if not size.num_test_files:
        found.append("The dataset has no test file: nothing can be measured or evaluated.")
    elif size.num_test_files < _FEW_TEST_FILES:
        found.append(
            f"The dataset has {size.num_test_files} test files; an evaluation needs at least"
            f" {_FEW_TEST_FILES} to say whether the adapter is better."
        )
    if not workload.has_fim:
        found.append("The model has no fill-in-the-middle tokens: it learns plain text only.")
    return found
