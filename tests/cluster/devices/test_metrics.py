from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from services.cluster.devices.metrics import DeviceFigures, bytes_by_holder
from services.cluster.devices.records import GIB, DeviceSnapshot
from tests.cluster.devices.specs import a_device, an_assignment

LOST = an_assignment("quarantine/run/r", ("g0",), 4).model_copy(update={"quarantined_at": 1.0})


def test_every_byte_of_a_device_has_a_holder() -> None:
    held = (an_assignment("replica/a", ("g0",), 6), LOST)
    snapshot = DeviceSnapshot(0, (a_device("g0"),), held)
    found = bytes_by_holder(snapshot, snapshot.devices[0])
    assert found == {"free": 14 * GIB, "replica/a": 6 * GIB, "quarantined": 4 * GIB}
    alone = DeviceSnapshot(0, (a_device("g0"),), (an_assignment("run/x", ("g0",)),))
    assert bytes_by_holder(alone, alone.devices[0]) == {"free": 0, "run/x": 24 * GIB}


def test_prometheus_sees_the_newest_and_nobody_who_left() -> None:
    registry, figures = CollectorRegistry(), DeviceFigures()
    registry.register(figures)
    device = a_device("g0").model_copy(update={"temperature": 51.0, "used_bytes": 5})
    held = (an_assignment("replica/a", ("g0",)),)
    figures.show(DeviceSnapshot(0, (device,), held))
    text = generate_latest(registry).decode()
    assert 'hearth_device_bytes{device="g0",holder="replica/a",host="h1",kind="cuda"}' in text
    assert 'hearth_device_temperature_celsius{device="g0",host="h1",kind="cuda"} 51.0' in text
    assert 'hearth_device_used_bytes{device="g0",host="h1",kind="cuda"} 5.0' in text
    assert 'hearth_device_healthy{device="g0",host="h1",kind="cuda"} 1.0' in text
    figures.show(DeviceSnapshot(0, (device,), ()))
    assert "replica/a" not in generate_latest(registry).decode()
