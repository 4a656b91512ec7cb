from __future__ import annotations

import pytest

from services.cluster.devices.assignments import Devices
from services.cluster.errors import BadRequest
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.agent.device_reports import DeviceReports


async def test_the_first_report_is_published(store: Store, settings: ClusterSettings) -> None:
    devices = Devices(store)
    doubled = settings.model_copy(update={"nvml_double": "24,48"})
    reports = DeviceReports(devices, Registry(store), doubled)
    await reports.first()
    assert [d.kind for d in (await devices.snapshot()).devices] == ["cuda", "cuda"]


async def test_sizes_that_are_none_are_named(store: Store, settings: ClusterSettings) -> None:
    spoiled = settings.model_copy(update={"nvml_double": "much"})
    with pytest.raises(BadRequest, match="not 'much'"):
        await DeviceReports(Devices(store), Registry(store), spoiled).first()
