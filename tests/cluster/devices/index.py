"""The index as the pure snapshot would have it, against the one that the scripts keep."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import MAX_DEVICES, DeviceSnapshot
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

Scores = dict[str, dict[str, float]]


async def check_index(store: Store, devices: Devices) -> None:
    snapshot = await devices.snapshot()
    live = {str(host) for host in await store.redis.zrange(Keys.HOST_BEATS, 0, -1)}
    assert await _kept(store) == _expected(snapshot, live)


async def _kept(store: Store) -> Scores:
    pattern = Keys.DEVICE_INDEX.format("*")
    names = [name async for name in store.redis.scan_iter(match=pattern, count=1000)]
    prefix = Keys.DEVICE_INDEX.format("")
    kept: Scores = {}
    for name in names:
        scores: Any = await store.redis.zrange(name, 0, -1, withscores=True)
        kept[str(name).removeprefix(prefix)] = dict(scores)
    return kept


def _expected(snapshot: DeviceSnapshot, live: set[str]) -> Scores:
    found: Scores = defaultdict(dict)
    free: dict[tuple[str, str], list[int]] = defaultdict(list)
    for device in snapshot.devices:
        if device.host_id not in live:
            continue
        num_bytes = snapshot.free_bytes(device) if device.healthy else 0
        whole = device.healthy and not snapshot.holders(device)
        free[device.kind, device.host_id].append(num_bytes)
        found[f"{device.kind}/1"][f"{device.device_id}\n{device.host_id}"] = num_bytes
        count = found[f"{device.kind}/whole"].get(device.host_id, 0)
        found[f"{device.kind}/whole"][device.host_id] = count + whole
    for (kind, host_id), sizes in free.items():
        ordered = sorted(sizes, reverse=True)
        for k in range(2, min(len(ordered), MAX_DEVICES) + 1):
            found[f"{kind}/{k}"][host_id] = ordered[k - 1]
    return dict(found)
