from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import fingerprints
from services.cluster.devices.nvml_double import SICK_FILE
from services.cluster.devices.records import AssignmentRequest, DeviceRecord
from services.cluster.errors import DevicesUnavailable
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.agent.device_reports import DeviceReports
from services.inference.agent.quarantines import Quarantines


def doubled(settings: ClusterSettings, gpus: str = "24,48") -> ClusterSettings:
    return settings.model_copy(update={"nvml_double": True, "nvml_double_gpus": gpus})


def reports_of(settings: ClusterSettings, store: Store, devices: Devices) -> DeviceReports:
    seen = fingerprints(settings)
    return DeviceReports(devices, Registry(store), settings.host_id, seen, Quarantines(devices))


async def test_the_first_look_is_published(store: Store, settings: ClusterSettings) -> None:
    devices = Devices(store)
    reports = reports_of(doubled(settings), store, devices)
    await reports.look(0.0)
    shown = (await devices.snapshot()).devices
    assert [(d.kind, d.healthy) for d in shown] == [("cuda", True), ("cuda", True)]
    shown_bytes = [f for f in reports.figures.collect() if f.name == "hearth_device_bytes"]
    assert {s.labels["holder"] for s in shown_bytes[0].samples} == {"free"}


async def test_a_gpu_that_turns_sick_is_told_at_once(
    store: Store, settings: ClusterSettings
) -> None:
    devices = Devices(store)
    reports = reports_of(doubled(settings, "24"), store, devices)
    await reports.look(0.0)
    file = settings.data_dir / SICK_FILE
    file.parent.mkdir()
    file.write_text("0 Xid 79\n")
    await reports.look(1.0)
    with pytest.raises(DevicesUnavailable, match="unhealthy: Xid 79"):
        await devices.assign(AssignmentRequest(holder="replica/a"))
    file.write_text("0 lost\n")
    await reports.look(2.0)
    with pytest.raises(DevicesUnavailable, match="does not list it any more"):
        await devices.assign(AssignmentRequest(holder="replica/a"))
    file.unlink()
    await reports.look(3.0)
    assert await devices.assign(AssignmentRequest(holder="replica/a"))


class CountingDevices(Devices):
    """Real devices that count what is published."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.num_published = 0

    async def publish(
        self, host_id: str, devices: Sequence[DeviceRecord], seen_seconds: float = 30.0
    ) -> None:
        self.num_published += 1
        await super().publish(host_id, devices, seen_seconds)


async def test_without_news_it_is_told_every_ten_seconds(
    store: Store, settings: ClusterSettings
) -> None:
    devices = CountingDevices(store)
    reports = reports_of(doubled(settings), store, devices)
    for second in range(0, 40, 2):
        await reports.look(float(second))
    assert devices.num_published == 4


def test_sizes_that_are_none_are_named() -> None:
    with pytest.raises(ValidationError, match="not 'much'"):
        ClusterSettings(nvml_double_gpus="much")
