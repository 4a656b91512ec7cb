"""A model of the catalogue gets its commit and its weights from the hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.errors import Conflict, ModelNotFound
from services.cluster.records import ModelRecord
from services.cluster.store.connection import Store
from services.inference.models.catalogue import ORIGIN
from services.inference.weights.downloads import WeightsState
from services.inference.weights.places import WEIGHTS
from tests.inference.weights.conftest import BIG, Host, host
from tests.inference.weights.hub_double import COMMIT, HubDouble
from tests.inference.weights.test_hub_models import is_of_unknown_class
from tests.inference.weights.test_uploads import take, tarred

HUB_ID = "maker/Model"
ENTRY = ModelRecord(
    name="coder/base",
    origin=ORIGIN,
    hub_id=HUB_ID,
    architecture="Qwen2ForCausalLM",
    context_tokens=1024,
    num_parameters=1_000_000_000,
    weights_bytes=2_000_000_000,
    fim_family="qwen2.5-coder",
    licence="Apache-2.0",
    supports_finetune=True,
)
KNOWN = {ENTRY.name: ENTRY}


@pytest_asyncio.fixture
async def there(
    store: Store, hub: HubDouble, model_folder: Path, tmp_path: Path
) -> AsyncIterator[Host]:
    hub.add(HUB_ID, model_folder)
    async with host(store, hub, tmp_path / "data", known=KNOWN) as there:
        yield there


async def fetched(there: Host) -> ModelRecord:
    async for _ in there.weights.download(ENTRY.name):
        pass
    return (await there.registry.view()).models[ENTRY.name]


async def test_it_becomes_a_model_of_the_hub_with_its_weights(there: Host) -> None:
    told = [status async for _, status in there.weights.download(ENTRY.name)]
    assert (told[0].state, told[0].present_bytes) == (WeightsState.DOWNLOADING, 0)
    assert told[-1].state is WeightsState.PRESENT
    record = (await there.registry.view()).models[ENTRY.name]
    assert (record.origin, record.hub_id, record.commit) == ("hub", HUB_ID, COMMIT)
    assert record.folder(there.data_dir) == there.place(record).whole
    assert (record.num_parameters, record.num_layers) == (1_000_080, 3)
    # Its files have a chat template and say 2048 tokens; the catalogue knows what it is good for.
    assert (record.supports_chat, record.supports_finetune, record.licence) == (
        False,
        True,
        "Apache-2.0",
    )
    assert record.context_tokens == 1024


async def test_a_replica_that_wants_it_starts_the_download(there: Host) -> None:
    await there.registry.put_model(ENTRY)
    sentence, waits = await there.weights.downloads.hindrance(ENTRY)
    assert sentence == "Weights of coder/base are being downloaded: 0.0 of 2.0 GB."
    assert waits
    assert (await fetched(there)).commit == COMMIT


async def test_a_gated_one_fails_with_the_page_to_accept(there: Host, hub: HubDouble) -> None:
    hub.repositories[HUB_ID].gated = True
    with pytest.raises(Conflict, match=f"accept its terms on {hub.url}/{HUB_ID}"):
        await fetched(there)
    status = await there.weights.kept.status(ENTRY)
    assert status.state is WeightsState.FAILED
    assert "gated" in status.detail
    sentence, waits = await there.weights.downloads.hindrance(ENTRY)
    assert "could not be downloaded" in sentence
    assert not waits
    assert not list((there.data_dir / WEIGHTS).rglob(BIG))
    hub.repositories[HUB_ID].gated = False
    assert (await fetched(there)).commit == COMMIT


async def test_one_that_is_not_served_is_refused_before_its_weights(
    there: Host, hub: HubDouble, model_folder: Path
) -> None:
    is_of_unknown_class(model_folder)
    hub.add(HUB_ID, model_folder)
    with pytest.raises(Conflict, match="a OwnForCausalLM, which vLLM"):
        await fetched(there)
    assert hub.served(BIG) == 0
    assert (await there.registry.view()).models[ENTRY.name] == ENTRY


async def test_two_hosts_have_the_same_commit(
    there: Host, hub: HubDouble, store: Store, tmp_path: Path
) -> None:
    first = await fetched(there)
    async with host(store, hub, tmp_path / "other", "other", known=KNOWN) as other:
        assert (await other.weights.kept.status(first)).state is WeightsState.ABSENT
        assert await fetched(other) == first
        assert (await other.weights.kept.status(first)).state is WeightsState.PRESENT


async def test_it_may_come_as_an_archive(there: Host, hub: HubDouble, model_folder: Path) -> None:
    await there.registry.put_model(ENTRY)
    record = await take(there, tarred(model_folder), ENTRY.name)
    assert (record.origin, record.supports_chat, record.licence) == ("upload", False, "Apache-2.0")
    assert not hub.requests


async def test_it_is_known_again_when_it_was_removed(there: Host) -> None:
    with pytest.raises(ModelNotFound, match="was not added"):
        await there.weights.kept.remove(ENTRY.name)
    await fetched(there)
    await there.weights.kept.remove(ENTRY.name)
    assert await there.weights.kept.model(ENTRY.name) == ENTRY
    assert (await there.weights.kept.status(ENTRY)).state is WeightsState.ABSENT
    assert not list((there.data_dir / WEIGHTS).rglob(BIG))


async def test_without_its_uploaded_weights_it_is_what_the_catalogue_says(
    there: Host, model_folder: Path
) -> None:
    uploaded = await take(there, tarred(model_folder), ENTRY.name)
    assert uploaded.num_parameters != ENTRY.num_parameters
    assert await there.weights.kept.delete(ENTRY.name) > 0
    assert await there.weights.kept.model(ENTRY.name) == ENTRY
    assert (await fetched(there)).origin == "hub"
