from __future__ import annotations

import asyncio
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.cluster.durable_files import sha256_of
from services.cluster.errors import BadRequest, Conflict, PayloadTooLarge
from services.cluster.records import ModelRecord
from services.cluster.store.connection import Store
from services.inference.models.overrides import ModelOverrides
from services.inference.weights.downloads import WeightsState
from services.inference.weights.places import WEIGHTS
from tests.inference.agent.specs import a_deployment
from tests.inference.weights.conftest import BIG, MODEL, Host, host
from tests.inference.weights.hub_double import HubDouble

NAME = "closed/model"


def zipped(folder: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for place in sorted(folder.rglob("*")):
            archive.write(place, place.relative_to(folder))
        archive.writestr("__MACOSX/._config.json", "x")
    return made.getvalue()


def tarred(folder: Path, mode: str = "w", top: str = "model") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, top)
    return made.getvalue()


def with_member(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[Path], bytes]:
    """An archive of a model, and one member more."""

    def make(folder: Path) -> bytes:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as archive:
            archive.add(folder, ".")
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        return made.getvalue()

    return make


async def chunks(data: bytes, size: int = 1024 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def take(idle: Host, data: bytes, name: str = NAME) -> ModelRecord:
    return await idle.weights.uploads.take(name, chunks(data))


def left(idle: Host) -> list[str]:
    return [place.name for place in (idle.data_dir / WEIGHTS).iterdir()]


@pytest.mark.parametrize(
    "pack",
    [
        zipped,
        tarred,
        lambda folder: tarred(folder, "w:gz"),
        lambda folder: tarred(folder, "w:bz2", "."),
    ],
)
async def test_a_packed_folder_becomes_a_model(
    idle: Host, model_folder: Path, pack: Callable[[Path], bytes]
) -> None:
    record = await take(idle, pack(model_folder))
    assert (record.origin, record.host_id) == ("upload", "here")
    assert (await idle.registry.view()).models[NAME] == record
    folder = record.folder(idle.data_dir)
    assert sha256_of(folder / BIG) == sha256_of(model_folder / BIG)
    assert not (folder / "modeling_own.py").exists()
    assert (await idle.weights.downloads.status(record)).state is WeightsState.PRESENT
    assert left(idle) == ["closed@model"]


def pickles(folder: Path) -> bytes:
    for place in folder.glob("*.safetensors"):
        place.rename(place.with_suffix(".bin"))
    return tarred(folder)


def truncated_weights(folder: Path) -> bytes:
    (folder / BIG).write_bytes((folder / BIG).read_bytes()[:1000])
    return tarred(folder)


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (with_member("../outside.json"), "outside of the model's folder"),
        (with_member("/etc/outside.json"), "outside of the model's folder"),
        (with_member("vocab.json", tarfile.SYMTYPE), "is a link"),
        (with_member("vocab.json", tarfile.LNKTYPE), "is a link"),
        (with_member("vocab.json", tarfile.FIFOTYPE), "is a link"),
        (with_member("config.json"), "two files of the same name"),
        (pickles, "only a pickle checkpoint"),
        (truncated_weights, "not a whole safetensors file"),
        (lambda folder: tarred(folder)[:-1_500_000], "broken"),
        (lambda folder: tarred(folder, "w:gz")[:-1000], "broken"),
        (lambda folder: zipped(folder)[:-10], "no zip and no tar"),
        (lambda folder: b"hello", "no zip and no tar"),
        (lambda folder: b"", "is empty"),
    ],
)
async def test_an_archive_that_is_no_model_leaves_nothing(
    idle: Host, model_folder: Path, pack: Callable[[Path], bytes], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        await take(idle, pack(model_folder))
    assert left(idle) == []
    assert NAME not in (await idle.registry.view()).models


async def test_what_the_files_do_not_say_is_asked_for(idle: Host, model_folder: Path) -> None:
    place = model_folder / "config.json"
    config = json.loads(place.read_text())
    del config["max_position_embeddings"]
    place.write_text(json.dumps(config))
    with pytest.raises(BadRequest, match="give context_tokens") as refused:
        await take(idle, tarred(model_folder))
    assert refused.value.param == "context_tokens"
    said = ModelOverrides(context_tokens=256)
    record = await idle.weights.uploads.take(NAME, chunks(tarred(model_folder)), said)
    assert record.context_tokens == 256


async def test_it_is_bounded_as_it_comes_and_as_it_unpacks(
    store: Store, hub: HubDouble, model_folder: Path, tmp_path: Path
) -> None:
    async with host(store, hub, tmp_path / "small", max_weights_bytes=10**6) as small:
        with pytest.raises(PayloadTooLarge, match="may have 1000000 bytes"):
            await take(small, tarred(model_folder))
        (model_folder / "README.md").write_bytes(bytes(10**7))
        (model_folder / BIG).unlink()
        packed = tarred(model_folder, "w:gz")
        assert len(packed) < 10**5
        with pytest.raises(PayloadTooLarge, match="unpacks to"):
            await take(small, packed)
        assert left(small) == []


async def test_an_upload_that_breaks_off_leaves_nothing(idle: Host, model_folder: Path) -> None:
    whole = tarred(model_folder)

    async def broken() -> AsyncIterator[bytes]:
        yield whole[:1000]
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await idle.weights.uploads.take(NAME, broken())
    assert left(idle) == []


async def test_names_that_are_taken_and_models_in_use(idle: Host, model_folder: Path) -> None:
    packed = tarred(model_folder)
    record = await take(idle, packed)
    assert await take(idle, packed) == record
    await idle.registry.put_deployment(a_deployment("d", model=NAME))
    with pytest.raises(Conflict, match="deployment d"):
        await take(idle, packed)
    await idle.registry.put_model(ModelRecord(name="local", origin="local", local_path="/x"))
    with pytest.raises(Conflict, match="local already, from /x"):
        await take(idle, packed, "local")


async def test_it_takes_the_place_of_a_model_whose_hub_is_away(
    idle: Host, model_folder: Path
) -> None:
    asked = await idle.added()
    record = await take(idle, tarred(model_folder), MODEL)
    assert (record.origin, record.hub_id) == ("upload", "")
    assert not idle.place(asked).part.exists()
    with pytest.raises(Conflict, match="did not come from a hub"):
        await idle.weights.downloads.start(record)
