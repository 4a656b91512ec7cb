"""What of the toolbox was made different, kept by several writers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.cluster.registry import Registry
from services.cluster.registry_cache import RegistryCache
from services.cluster.store.connection import Store
from services.cluster.toolbox import ToolboxChange, ToolboxRecord


def switching_off(name: str) -> Callable[[ToolboxRecord], ToolboxRecord]:
    def change(before: ToolboxRecord) -> ToolboxRecord:
        edition = before.edition + 1
        changed = ToolboxChange(enabled=False, edition=edition)
        return ToolboxRecord(edition=edition, changes={**before.changes, name: changed})

    return change


async def test_what_was_changed_is_in_the_view(store: Store) -> None:
    registry = Registry(store)
    assert (await registry.view()).toolbox == ToolboxRecord()
    record = await registry.change_toolbox(switching_off("explain"))
    assert record.changes["explain"] == ToolboxChange(enabled=False, edition=1)
    assert (await registry.view()).toolbox == record


async def test_writers_at_the_same_time_lose_nothing(store: Store) -> None:
    registry = Registry(store)
    names = [f"command-{number}" for number in range(8)]
    await asyncio.gather(*(registry.change_toolbox(switching_off(name)) for name in names))
    record = (await registry.view()).toolbox
    assert sorted(record.changes) == names
    assert record.edition == len(names)


async def test_a_change_raises_the_version_of_the_caps_and_no_change_does_not(store: Store) -> None:
    registry = Registry(store)
    before = (await registry.view()).caps_version
    await registry.change_toolbox(switching_off("explain"))
    changed = (await registry.view()).caps_version
    assert changed > before
    await registry.change_toolbox(lambda toolbox: toolbox)
    assert (await registry.view()).caps_version == changed


async def test_the_cache_hears_of_a_change(store: Store) -> None:
    registry = Registry(store)
    cache = RegistryCache(registry)
    await cache.start()
    try:
        await registry.change_toolbox(switching_off("explain"))
        async with asyncio.timeout(10):
            while "explain" not in cache.view.toolbox.changes:
                await cache.changed()
    finally:
        await cache.close()
