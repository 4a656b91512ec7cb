"""What Prometheus reads of a host's devices: who has how much of each, and how it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.cluster.devices.records import DeviceRecord, DeviceSnapshot

FREE = "free"
QUARANTINED = "quarantined"
_DEVICE = ["device", "host", "kind"]


class DeviceFigures(Collector):
    """Shows the newest snapshot and nothing of those before: a holder that left is gone."""

    def __init__(self) -> None:
        self._newest = DeviceSnapshot(0, (), ())

    def show(self, snapshot: DeviceSnapshot) -> None:
        self._newest = snapshot

    def collect(self) -> Iterator[GaugeMetricFamily]:
        snapshot = self._newest
        assigned = GaugeMetricFamily(
            "hearth_device_bytes",
            "Bytes of a device by who has them; free and quarantined are holders too.",
            labels=[*_DEVICE, "holder"],
        )
        used = GaugeMetricFamily(
            "hearth_device_used_bytes", "Bytes of a device that are in use.", labels=_DEVICE
        )
        celsius = GaugeMetricFamily(
            "hearth_device_temperature_celsius", "Temperature of a device.", labels=_DEVICE
        )
        utilization = GaugeMetricFamily(
            "hearth_device_utilization", "Share of time that a device computed.", labels=_DEVICE
        )
        healthy = GaugeMetricFamily(
            "hearth_device_healthy", "1 for a device that may be assigned, else 0.", labels=_DEVICE
        )
        for device in snapshot.devices:
            names = [device.device_id, device.host_id, device.kind]
            for holder, num_bytes in bytes_by_holder(snapshot, device).items():
                assigned.add_metric([*names, holder], num_bytes)
            used.add_metric(names, device.used_bytes)
            healthy.add_metric(names, float(device.healthy))
            if device.temperature is not None:
                celsius.add_metric(names, device.temperature)
            if device.utilization is not None:
                utilization.add_metric(names, device.utilization)
        yield from (assigned, used, celsius, utilization, healthy)


def bytes_by_holder(snapshot: DeviceSnapshot, device: DeviceRecord) -> Mapping[str, int]:
    """Their sum is the whole device."""
    found: Counter[str] = Counter({FREE: snapshot.free_bytes(device)})
    for assignment in snapshot.holders(device):
        holder = QUARANTINED if assignment.quarantined else assignment.holder
        found[holder] += assignment.device_bytes or device.total_bytes
    return found
