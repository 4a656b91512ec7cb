"""Tells the cluster what devices this host has, again and again, and forgets what was lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import fingerprint
from services.cluster.devices.records import DeviceRecord
from services.cluster.errors import BadRequest, HearthError
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings

log = logging.getLogger(__name__)

_EVERY_SECONDS = 10.0


class DeviceReports:
    def __init__(self, devices: Devices, registry: Registry, settings: ClusterSettings) -> None:
        self._devices = devices
        self._registry = registry
        self._settings = settings
        self.newest: Sequence[DeviceRecord] = ()

    async def first(self) -> None:
        """Raises BadRequest when the devices cannot be read as configured."""
        try:
            self.newest = await asyncio.to_thread(fingerprint, self._settings)
        except ValueError as error:
            raise BadRequest(
                "HEARTH_NVML_DOUBLE must be sizes in GiB with commas between them, such as 24,24,"
                f" not {self._settings.nvml_double!r}."
            ) from error
        await self._devices.publish(self._settings.host_id, self.newest)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            self.newest = await self._look()
            try:
                await self._devices.publish(self._settings.host_id, self.newest)
                await self._registry.sweep()
            except HearthError as error:
                log.warning("devices are not published", extra={"reason": error.message})

    async def _look(self) -> Sequence[DeviceRecord]:
        try:
            return await asyncio.to_thread(fingerprint, self._settings)
        except Exception as error:  # the boundary to the driver
            log.exception("devices cannot be read")
            detail = f"The driver does not answer: {error}"
            return [
                device.model_copy(update={"healthy": False, "detail": detail})
                for device in self.newest
            ]
