from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from services.cluster.errors import BadRequest, Conflict
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind
from services.cluster.records import ModelRecord
from services.cluster.store.connection import Store
from services.inference.weights.places import WEIGHTS
from tests.inference.agent.specs import a_deployment
from tests.inference.weights.conftest import BIG, MODEL, Host
from tests.inference.weights.hub_double import HubDouble
from tests.inference.weights.test_uploads import take, tarred


def files_left(idle: Host) -> list[Path]:
    return [place for place in (idle.data_dir / WEIGHTS).rglob("*") if place.is_file()]


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def needs_code(folder: Path) -> None:
    change_config(folder, model_type="own", auto_map={"AutoModel": "modeling_own.Own"})


def is_of_unknown_class(folder: Path) -> None:
    change_config(folder, architectures=["OwnForCausalLM"])


def truncate(folder: Path) -> None:
    whole = (folder / BIG).read_bytes()
    (folder / BIG).write_bytes(whole[: len(whole) // 2])


def overlong_header(folder: Path) -> None:
    (folder / BIG).write_bytes(struct.pack("<Q", 10**12) + b"{}" * 100)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (needs_code, "code of the model's own"),
        (is_of_unknown_class, "a OwnForCausalLM, which vLLM"),
        (truncate, f"{BIG} is not a whole safetensors file"),
        (overlong_header, f"{BIG} of {MODEL} is not a whole safetensors file"),
        (lambda folder: (folder / "tokenizer.json").unlink(), f"{MODEL} on the hub has no tok"),
    ],
)
async def test_a_model_that_cannot_be_served_leaves_nothing(
    idle: Host, hub: HubDouble, model_folder: Path, spoil: object, words: str
) -> None:
    spoil(model_folder)  # type: ignore[operator]
    hub.add(MODEL, model_folder)
    with pytest.raises(BadRequest, match=words):
        await idle.added()
    assert files_left(idle) == []
    assert MODEL not in (await idle.registry.view()).models


async def test_a_long_header_is_read_in_two_pieces(
    idle: Host, hub: HubDouble, model_folder: Path
) -> None:
    names = {f"layer.{n}.weight": {"dtype": "F16", "shape": [1]} for n in range(3000)}
    for number, entry in enumerate(names.values()):
        entry["data_offsets"] = [2 * number, 2 * number + 2]
    header = json.dumps(names).encode()
    assert len(header) > 100_000
    body = struct.pack("<Q", len(header)) + header + bytes(2 * 3000)
    (model_folder / BIG).write_bytes(body)
    hub.add(MODEL, model_folder)
    hub.faults.cuts = [10**6, 100]
    assert (await idle.added()).num_parameters == 3080


async def test_a_name_is_of_one_model(idle: Host, hub: HubDouble, model_folder: Path) -> None:
    await idle.added()
    hub.add("owner/other", model_folder)
    with pytest.raises(Conflict, match=f"{MODEL} already, from {MODEL}"):
        await idle.weights.hub_models.add(MODEL, "owner/other", "")


async def test_weights_that_are_used_stay(here: Host, store: Store) -> None:
    record = await here.added()
    await here.downloaded(record)
    await here.registry.put_deployment(a_deployment("d", model=MODEL))
    run = await JobQueue(store).enqueue(JobKind.RUN, {"spec": {"model": MODEL}})
    other = await JobQueue(store).enqueue(JobKind.RUN, {"spec": {"model": "another"}})
    with pytest.raises(Conflict) as caught:
        await here.weights.kept.delete(MODEL)
    assert f"deployment d, run {run.job_id};" in caught.value.message
    assert other.job_id not in caught.value.message
    await here.registry.delete_deployment("d")
    with pytest.raises(Conflict, match=run.job_id):
        await here.weights.kept.delete(MODEL)
    await JobQueue(store).cancel(run.job_id)
    assert await here.weights.kept.delete(MODEL) > record.weights_bytes
    assert files_left(here) == []
    assert MODEL in (await here.registry.view()).models
    await here.downloaded(record)


NEW_COMMIT = "b" * 40


async def reading(there: Host, hub: HubDouble) -> asyncio.Task[ModelRecord]:
    """The model is being added, and its files are on their way."""
    num_asked = len(hub.requests)
    hub.faults.stall, hub.faults.stall_after = 1000, 0
    adding = asyncio.create_task(there.added())
    async with asyncio.timeout(10):
        while not any("/resolve/" in request.path for request in hub.requests[num_asked:]):
            await asyncio.sleep(0.01)
    return adding


async def goes_on(adding: asyncio.Task[ModelRecord], hub: HubDouble) -> ModelRecord:
    hub.faults.stall = 0
    hub.released.set()
    return await adding


async def test_weights_that_somebody_deploys_while_a_newer_commit_is_read_stay(
    here: Host, hub: HubDouble
) -> None:
    record = await here.added()
    await here.downloaded(record)
    hub.repositories[MODEL].commit = NEW_COMMIT
    adding = await reading(here, hub)
    await here.registry.put_deployment(a_deployment("d", model=MODEL))
    with pytest.raises(Conflict, match=f"deployment d; .* become commit {NEW_COMMIT}"):
        await goes_on(adding, hub)
    assert here.place(record).is_whole
    assert (await here.registry.view()).models[MODEL] == record
    assert not [place for place in files_left(here) if NEW_COMMIT in str(place)]


async def test_weights_that_somebody_uploads_while_the_hubs_are_read_stay(
    idle: Host, hub: HubDouble, model_folder: Path
) -> None:
    adding = await reading(idle, hub)
    uploaded = await take(idle, tarred(model_folder), MODEL)
    with pytest.raises(Conflict, match="changed by somebody else"):
        await goes_on(adding, hub)
    assert idle.place(uploaded).is_whole
    assert (await idle.registry.view()).models[MODEL] == uploaded


async def test_a_download_is_cancelled_before_its_weights_are_deleted(
    idle: Host, hub: HubDouble
) -> None:
    record = await idle.added()
    hub.faults.stall = 1
    await idle.weights.downloads.start(record)
    with pytest.raises(Conflict, match="cancel the download first"):
        await idle.weights.kept.delete(MODEL)
