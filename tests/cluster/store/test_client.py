from __future__ import annotations

from prometheus_client import REGISTRY

from services.cluster.leases import Leases
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


def num_calls(call: str) -> float:
    return REGISTRY.get_sample_value("hearth_redis_seconds_count", {"call": call}) or 0.0


async def test_calls_are_measured_by_the_name_of_command_or_script(store: Store) -> None:
    await Leases(store).acquire("name", "holder", 1)  # Redis has the script from here on
    before = num_calls("leases.acquire"), num_calls("HGET"), num_calls("XREAD")
    await Leases(store).acquire("name", "holder", 1)
    await store.field("h", "f")
    await store.read_stream(Keys.JOB_EVENTS.format("j1"), "0-0", 1)
    after = num_calls("leases.acquire"), num_calls("HGET"), num_calls("XREAD")
    # Whoever waits on a stream waits on purpose.
    assert after == (before[0] + 1, before[1] + 1, before[2])


async def test_a_script_that_is_no_constant_has_a_name_too(store: Store) -> None:
    source = "return " + str(1)
    await store.run(source, [], [])
    before = num_calls("script")
    assert await store.run(source, [], []) == 1
    assert num_calls("script") == before + 1
