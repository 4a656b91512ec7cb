from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from services.cluster.errors import AdapterNotLoaded, Overloaded
from services.inference.engines.adapter_table import AdapterTable


async def load(table: AdapterTable, *adapter_ids: str) -> None:
    for adapter_id in adapter_ids:
        async with table.loading(adapter_id) as wanted:
            assert wanted


async def unload(table: AdapterTable, adapter_id: str) -> None:
    async with table.unloading(adapter_id):
        pass


async def begun(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that has come as far as it gets by itself."""
    task = asyncio.create_task(coroutine)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


@pytest.fixture
def table() -> AdapterTable:
    return AdapterTable(2)


async def test_the_base_needs_no_loading(table: AdapterTable) -> None:
    with table.using(""):
        assert table.loaded == ()


async def test_what_is_loaded_can_be_used(table: AdapterTable) -> None:
    with pytest.raises(AdapterNotLoaded, match="a1"), table.using("a1"):
        pass
    await load(table, "b1", "a1")
    assert table.loaded == ("a1", "b1")
    with table.using("a1"), table.using("a1"):
        pass


async def test_loading_twice_is_nothing(table: AdapterTable) -> None:
    await load(table, "a1")
    async with table.loading("a1") as wanted:
        assert not wanted
    assert table.loaded == ("a1",)


async def test_of_two_that_load_the_same_one_does_it(table: AdapterTable) -> None:
    num_wanted = 0

    async def load_slowly() -> None:
        nonlocal num_wanted
        async with table.loading("a1") as wanted:
            num_wanted += wanted
            await asyncio.sleep(0.01)

    await asyncio.gather(load_slowly(), load_slowly())
    assert num_wanted == 1


async def test_a_load_that_fails_loads_nothing(table: AdapterTable) -> None:
    with pytest.raises(RuntimeError):
        async with table.loading("a1"):
            raise RuntimeError
    assert table.loaded == ()
    await load(table, "a1")


async def test_unloading_waits_for_the_last_user(table: AdapterTable) -> None:
    await load(table, "a1")
    with table.using("a1"):
        with table.using("a1"):
            unloading = await begun(unload(table, "a1"))
            assert table.loaded == ()
            with pytest.raises(AdapterNotLoaded), table.using("a1"):
                pass
        assert not unloading.done()
    await unloading
    with pytest.raises(AdapterNotLoaded):
        await unload(table, "a1")


async def test_an_unload_that_is_cancelled_leaves_it_loaded(table: AdapterTable) -> None:
    await load(table, "a1")
    with table.using("a1"):
        unloading = await begun(unload(table, "a1"))
        unloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unloading
        assert table.loaded == ("a1",)
    await unload(table, "a1")


async def test_who_loads_it_again_waits_until_it_is_gone(table: AdapterTable) -> None:
    await load(table, "a1")
    with table.using("a1"):
        unloading = await begun(unload(table, "a1"))
        loading = await begun(load(table, "a1"))
        assert not loading.done()
    await unloading
    await loading
    assert table.loaded == ("a1",)


async def test_others_do_not_wait_for_a_busy_adapter(table: AdapterTable) -> None:
    await load(table, "a1")
    with table.using("a1"):
        unloading = await begun(unload(table, "a1"))
        await load(table, "b1")
        await unload(table, "b1")
        assert not unloading.done()
    await unloading


async def test_one_that_is_still_there_counts(table: AdapterTable) -> None:
    await load(table, "a1", "b1")
    with pytest.raises(Overloaded, match="HEARTH_MAX_LOADED_ADAPTERS"):
        await load(table, "c1")
    with table.using("a1"):
        unloading = await begun(unload(table, "a1"))
        with pytest.raises(Overloaded):
            await load(table, "c1")
    await unloading
    await load(table, "c1")
    assert table.loaded == ("b1", "c1")


async def test_one_that_is_being_loaded_counts(table: AdapterTable) -> None:
    await load(table, "a1")
    async with table.loading("b1"):
        with pytest.raises(Overloaded):
            await load(table, "c1")
    with pytest.raises(Overloaded):
        await load(table, "c1")
