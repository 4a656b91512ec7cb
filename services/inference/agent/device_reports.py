"""Tells the cluster what devices this host has, again and again, and ends what was lost on them."""

from __future__ import annotations

import asyncio
import logging
import time

from prometheus_client import REGISTRY

from services.cluster.devices.assignments import SEEN_SECONDS, Devices
from services.cluster.devices.fingerprint import Fingerprint, Fingerprints
from services.cluster.devices.metrics import DeviceFigures
from services.cluster.errors import HearthError
from services.cluster.registry import Registry
from services.inference.agent.quarantines import Quarantines

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_PUBLISH_SECONDS = 10.0  # without news
_STEADY_SECONDS = 2 * SEEN_SECONDS


class DeviceReports:
    """`figures` are what the metrics port shows of the devices."""

    def __init__(
        self,
        devices: Devices,
        registry: Registry,
        host_id: str,
        fingerprints: Fingerprints,
        quarantines: Quarantines,
    ) -> None:
        self._devices = devices
        self._registry = registry
        self._host_id = host_id
        self._fingerprints = fingerprints
        self._quarantines = quarantines
        self.figures = DeviceFigures()
        self._told: list[tuple[str, bool, str]] = []
        self._told_at = -_PUBLISH_SECONDS
        self._answered_since: float | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        REGISTRY.register(self.figures)
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    await self.look(time.monotonic())
                except HearthError as error:
                    self._answered_since = None
                    log.warning("devices are not published", extra={"reason": error.message})
                except Exception:  # the boundary to the driver
                    log.exception("devices cannot be looked at")
        finally:
            REGISTRY.unregister(self.figures)

    async def look(self, now: float) -> None:
        """One pass. `now` of a monotonic clock. Raises StoreUnavailable."""
        quarantined = await self._devices.quarantine_lost(self._host_id)
        seen = await asyncio.to_thread(self._fingerprints.take)  # after it: see Quarantines
        due = now - self._told_at >= _PUBLISH_SECONDS
        if due or self._news(seen):
            await self._devices.publish(self._host_id, seen.devices)
            self._told, self._told_at = _health(seen), now
        await self._quarantines.tend(quarantined, seen, now)
        self.figures.show(await self._devices.host_snapshot(self._host_id))
        if due:
            await self._sweep(now)

    def _news(self, seen: Fingerprint) -> bool:
        return _health(seen) != self._told

    async def _sweep(self, now: float) -> None:
        """Hosts are missed only when Redis could have heard of them for some time."""
        await self._registry.sweep()
        if self._answered_since is None:
            self._answered_since = now
        if now - self._answered_since >= _STEADY_SECONDS:
            await self._devices.sweep()


def _health(seen: Fingerprint) -> list[tuple[str, bool, str]]:
    return [(device.device_id, device.healthy, device.detail) for device in seen.devices]
