"""What administrators want of the engines: checked and recorded; the supervisors answer it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import DeviceSnapshot
from services.cluster.errors import BadRequest, DeadlineExceeded, DevicesUnavailable, NotFound
from services.cluster.records import DeploymentPhase, DeploymentRecord, ModelRecord, ReplicaPhase
from services.cluster.registry import ClusterView, Registry
from services.cluster.registry_cache import RegistryCache
from services.inference.agent.catalogue import STARTER
from services.inference.agent.deployment_plan import (
    DeploymentPlan,
    beyond_hosts,
    plan_deployment,
)
from services.inference.agent.deployment_rules import (
    check_adapter_of,
    check_deployment,
    check_device_kind,
)
from services.inference.agent.launch import plan_for
from services.inference.agent.placement import device_kind
from services.inference.agent.plan import MemoryPlan, shortage
from services.inference.agent.reconcile import replica_specs
from services.inference.models.catalogue import offered
from services.inference.settings import InferenceSettings

_STARTER_ID = "starter-coder"
_MAX_WAIT_SECONDS = 120.0


class Deployments:
    """Changes are made to the newest record, so none undoes another that came at the same time.

    A model of `known` is registered when it is first deployed.
    """

    def __init__(
        self,
        registry: Registry,
        cache: RegistryCache,
        devices: Devices,
        settings: InferenceSettings,
        known: Mapping[str, ModelRecord] | None = None,
    ) -> None:
        self._known = known or {}
        self._registry = registry
        self._cache = cache
        self._devices = devices
        self._settings = settings

    async def ensure_first(self) -> bool:
        """Wants the starter model on a cluster that never had a deployment; whether it did.

        It takes what it needs rather than the device: a run must fit beside it.
        """
        snapshot, view = await self._devices.snapshot(), await self._registry.view()
        now = time.time()
        record = DeploymentRecord(
            deployment_id=_STARTER_ID, model=STARTER, created_at=now, updated_at=now
        )
        plan = self._memory(record, view, snapshot)
        largest = max((device.total_bytes for device in snapshot.devices), default=0)
        device_bytes = min(plan.total_bytes, max(largest, plan.least_bytes))
        return await self._registry.put_first_deployment(
            record.model_copy(update={"device_bytes": device_bytes})
        )

    async def put(self, wanted: DeploymentRecord) -> DeploymentRecord:
        """Creates or replaces; without an id it is a new one.

        Raises BadRequest, NotFound, and DevicesUnavailable for what no host could ever hold.
        """
        now = time.time()
        wanted = wanted.model_copy(
            update={
                "deployment_id": wanted.deployment_id or _new_id(wanted.model),
                "created_at": now,
                "updated_at": now,
                "phase": DeploymentPhase.PENDING,
                "detail": "",
            }
        )
        view = await self._check(wanted)
        if wanted.deployment_id not in view.deployments:
            await self._registry.put_deployment(wanted)
            return wanted
        return await self._registry.change_deployment(
            wanted.deployment_id, partial(_replaced, wanted=wanted)
        )

    async def change(self, wanted: DeploymentRecord, fields: Collection[str]) -> DeploymentRecord:
        """Gives a deployment these fields of `wanted`; what else it has, or gets meanwhile, stays.

        Raises as `put` does.
        """
        if unknown := set(fields) - _CHANGEABLE_FIELDS:
            raise BadRequest(f"A deployment has no field {min(unknown)} that can be changed.")
        existing = (await self._registry.view()).deployments.get(wanted.deployment_id)
        if existing is None:
            raise _unknown(wanted.deployment_id)
        changes = {name: getattr(wanted, name) for name in fields}
        changes["updated_at"] = time.time()
        await self._check(existing.model_copy(update=changes))
        return await self._registry.change_deployment(
            wanted.deployment_id,
            lambda old: _replaced(old, old.model_copy(update=changes)),
        )

    async def _check(self, wanted: DeploymentRecord) -> ClusterView:
        """The view that it was held against; a model of the catalogue is registered on the way.

        Raises as `put` does.
        """
        snapshot, registered = await self._devices.snapshot(), await self._registry.view()
        view = self._with_known(registered)
        check_deployment(wanted, view, self._settings)
        check_device_kind(wanted, _kind(snapshot))
        plan = self._memory(wanted, view, snapshot)
        if problem := shortage(plan, wanted.device_bytes):
            raise BadRequest(problem, param="device_bytes")
        if problem := beyond_hosts(wanted, view.models, snapshot, self._settings):
            raise DevicesUnavailable(problem)
        if wanted.model in view.models and wanted.model not in registered.models:
            await self._registry.add_model(view.models[wanted.model])
        return view

    async def restart(self, deployment_id: str) -> DeploymentRecord:
        """Wants new replicas, as after a change. Raises NotFound."""
        return await self._registry.change_deployment(deployment_id, renewed)

    async def delete(self, deployment_id: str) -> None:
        if not await self._registry.delete_deployment(deployment_id):
            raise _unknown(deployment_id)

    async def plan(self, wanted: DeploymentRecord) -> DeploymentPlan:
        """What `put` would lead to. Raises BadRequest or NotFound for what it would refuse."""
        snapshot = await self._devices.snapshot()
        view = self._with_known(await self._registry.view())
        wanted = wanted.model_copy(
            update={"deployment_id": wanted.deployment_id or _new_id(wanted.model)}
        )
        check_deployment(wanted, view, self._settings)
        check_device_kind(wanted, _kind(snapshot))
        return plan_deployment(wanted, view.models, snapshot, self._settings)

    async def add_adapter(
        self, deployment_id: str, adapter_id: str, wait_seconds: float
    ) -> DeploymentRecord:
        """Raises NotFound, BadRequest for an adapter that cannot be loaded, DeadlineExceeded.

        One that a replica cannot load is not wanted any more.
        """
        _check_wait(wait_seconds)
        view = await self._registry.view()

        def add(record: DeploymentRecord) -> DeploymentRecord:
            check_adapter_of(adapter_id, record.model, view)
            if adapter_id in record.adapter_ids:
                return record
            changed = _with_adapters(record, (*record.adapter_ids, adapter_id))
            check_deployment(changed, view, self._settings)
            return changed

        record = await self._registry.change_deployment(deployment_id, add)
        try:
            await self._await_adapter(deployment_id, adapter_id, wait_seconds, loaded=True)
        except BadRequest:
            with contextlib.suppress(NotFound):  # the deployment was deleted meanwhile
                await self._registry.change_deployment(deployment_id, partial(_without, adapter_id))
            raise
        return record

    async def remove_adapter(
        self, deployment_id: str, adapter_id: str, wait_seconds: float
    ) -> DeploymentRecord:
        """Raises NotFound and DeadlineExceeded. One that is not wanted changes nothing."""
        _check_wait(wait_seconds)
        known = adapter_id in (await self._registry.view()).adapters

        def remove(record: DeploymentRecord) -> DeploymentRecord:
            if adapter_id not in record.adapter_ids:
                if not known:
                    raise NotFound(f"There is no adapter {adapter_id}.")
                return record
            return _without(adapter_id, record)

        record = await self._registry.change_deployment(deployment_id, remove)
        await self._await_adapter(deployment_id, adapter_id, wait_seconds, loaded=False)
        return record

    async def _await_adapter(
        self, deployment_id: str, adapter_id: str, wait_seconds: float, *, loaded: bool
    ) -> None:
        """Until every ready replica has it, or has it no more.

        Raises DeadlineExceeded, and BadRequest when a replica says that it cannot be loaded.
        """
        if not wait_seconds:
            return
        await self._cache.refresh()
        try:
            async with asyncio.timeout(wait_seconds):
                while late_replicas(self._cache.view, deployment_id, adapter_id, loaded=loaded):
                    problem = adapter_problem(self._cache.view, deployment_id, adapter_id)
                    if loaded and problem:
                        raise BadRequest(problem, param="adapter_id")
                    await self._cache.changed()
        except TimeoutError:
            late = late_replicas(self._cache.view, deployment_id, adapter_id, loaded=loaded)
            raise DeadlineExceeded(
                f"{', '.join(late)} did not {'load' if loaded else 'unload'} adapter {adapter_id}"
                f" within {wait_seconds:g} s and will go on trying; the replica's log says why."
            ) from None

    def _with_known(self, view: ClusterView) -> ClusterView:
        return replace(view, models=offered(self._known, view.models))

    def _memory(
        self, wanted: DeploymentRecord, view: ClusterView, snapshot: DeviceSnapshot
    ) -> MemoryPlan:
        spec = next(iter(replica_specs([wanted], view.models).values()))
        return plan_for(spec, device_kind(snapshot), self._settings)


_KEPT_FIELDS = ("created_at", "phase", "detail", "edition")
_CHANGEABLE_FIELDS = frozenset(DeploymentRecord.model_fields) - {
    *("deployment_id", "schema_version", "updated_at", *_KEPT_FIELDS)
}
# What a replica takes over while it runs, or what only says how many there are.
_SOFT_FIELDS = {
    *("team_id", "project_id", "num_replicas", "adapter_policy", "default_adapter_id"),
    *("adapter_ids", "yields_to_runs", "updated_at", "schema_version", *_KEPT_FIELDS),
}


def _replaced(old: DeploymentRecord, wanted: DeploymentRecord) -> DeploymentRecord:
    """What is wanted instead, of a new edition where replicas that run cannot follow."""
    new = wanted.model_copy(update={name: getattr(old, name) for name in _KEPT_FIELDS})
    hard = old.model_dump(exclude=_SOFT_FIELDS) != new.model_dump(exclude=_SOFT_FIELDS)
    return renewed(new) if hard else new


def renewed(record: DeploymentRecord) -> DeploymentRecord:
    return record.model_copy(update={"edition": record.edition + 1, "updated_at": time.time()})


def _kind(snapshot: DeviceSnapshot) -> str:
    """ "" while no device is known."""
    return device_kind(snapshot) if snapshot.devices else ""


def late_replicas(
    view: ClusterView, deployment_id: str, adapter_id: str, *, loaded: bool
) -> list[str]:
    """Ready replicas that have not yet loaded, or unloaded, an adapter."""
    return [
        replica.replica_id
        for replica in view.replicas.values()
        if replica.deployment_id == deployment_id
        and replica.phase is ReplicaPhase.READY
        and (adapter_id in replica.loaded_adapter_ids) != loaded
    ]


def adapter_problem(view: ClusterView, deployment_id: str, adapter_id: str) -> str:
    """Why a ready replica cannot load an adapter; "" when none says so."""
    problems = (
        replica.adapter_problems.get(adapter_id, "")
        for replica in view.replicas.values()
        if replica.deployment_id == deployment_id and replica.phase is ReplicaPhase.READY
    )
    return next(filter(None, problems), "")


def _without(adapter_id: str, record: DeploymentRecord) -> DeploymentRecord:
    if adapter_id not in record.adapter_ids:
        return record
    return _with_adapters(record, tuple(i for i in record.adapter_ids if i != adapter_id))


def _with_adapters(record: DeploymentRecord, adapter_ids: tuple[str, ...]) -> DeploymentRecord:
    return record.model_copy(update={"adapter_ids": adapter_ids, "updated_at": time.time()})


def _check_wait(seconds: float) -> None:
    if not (math.isfinite(seconds) and 0 <= seconds <= _MAX_WAIT_SECONDS):
        raise BadRequest(
            f"wait_seconds must be 0 to {_MAX_WAIT_SECONDS:g}, not {seconds:g}.",
            param="wait_seconds",
        )


def _new_id(model: str) -> str:
    """Readable in logs and paths, such as starter-coder-3f9a2c."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rpartition("/")[2]).strip("-._")[:48]
    return f"{name or 'deployment'}-{secrets.token_hex(3)}"


def _unknown(deployment_id: str) -> NotFound:
    return NotFound(f"There is no deployment {deployment_id}.")
