from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import AdapterNotLoaded, BadRequest, NotFound
from services.inference.engines.echo_engine import EchoEngine
from services.inference.serving.adapters import ReplicaAdapters, changes, check_adapter
from tests.inference.serving.replicas import echo_engine, publish_adapter, until


class World:
    """Counts how often it was told."""

    def __init__(self) -> None:
        self.num_told = 0

    def tell(self) -> None:
        self.num_told += 1


@pytest.fixture
async def engine() -> EchoEngine:
    return await echo_engine(max_loaded_adapters=2)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def adapters(engine: EchoEngine, tmp_path: Path, world: World) -> ReplicaAdapters:
    for adapter_id in ("a1", "b1", "c1"):
        publish_adapter(tmp_path, adapter_id)
    return ReplicaAdapters(engine, ArtifactStore(tmp_path), world.tell)


def folder_with(folder: Path, *names: str, **config: Any) -> Path:
    for name in names:
        (folder / name).write_bytes(b"x")
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("names", "config", "sentence"),
    [
        ((), {}, "no adapter_model.safetensors"),
        (("adapter_model.safetensors", "x.bin"), {}, "holds x.bin; only safetensors"),
        (("adapter_model.safetensors", "x.pth"), {}, "holds x.pth; only safetensors"),
        (("adapter_model.safetensors",), {"peft_type": "IA3"}, "peft_type LORA"),
        (("adapter_model.safetensors",), {"peft_type": "LORA"}, "rank is None"),
        (("adapter_model.safetensors",), {"peft_type": "LORA", "r": 65}, "takes 1 to 64"),
        (("adapter_model.safetensors",), {"peft_type": "LORA", "r": "8"}, "rank is 8"),
    ],
)
def test_a_folder_that_may_not_be_loaded(
    tmp_path: Path, names: tuple[str, ...], config: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadRequest, match=sentence):
        check_adapter(folder_with(tmp_path, *names, **config), 64)


def test_a_folder_that_may_be_loaded(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "r": 64, "lora_alpha": 64}
    folder = folder_with(tmp_path, "adapter_model.safetensors", "README.md", **config)
    check_adapter(folder, 64)


def test_changes_keep_their_order() -> None:
    assert changes(["a", "b", "a"], ["c", "b"]) == (["a"], ["c"])
    assert changes([], []) == ([], [])


async def test_what_is_wanted_is_loaded_and_the_rest_goes(
    adapters: ReplicaAdapters, engine: EchoEngine, world: World
) -> None:
    await adapters.reconcile(["a1", "b1"])
    assert engine.adapters.loaded == ("a1", "b1")
    assert world.num_told == 2
    await adapters.reconcile(["b1", "c1"])  # there is room for two only
    assert engine.adapters.loaded == ("b1", "c1")


async def test_what_was_loaded_by_hand_stays(adapters: ReplicaAdapters, engine: EchoEngine) -> None:
    await adapters.load("a1", by_hand=True)
    await adapters.reconcile([])
    assert list(engine.adapters.loaded) == ["a1"]
    await adapters.unload("a1")
    await adapters.reconcile([])
    assert list(engine.adapters.loaded) == []
    with pytest.raises(AdapterNotLoaded):
        await adapters.unload("a1")


async def test_unloading_is_told_before_the_last_user_ends(
    adapters: ReplicaAdapters, engine: EchoEngine, world: World
) -> None:
    await adapters.load("a1", by_hand=True)
    with engine.adapters.using("a1"):
        unloading = asyncio.create_task(adapters.unload("a1"))
        await until(lambda: world.num_told == 2)
        assert engine.adapters.loaded == ()
        assert not unloading.done()
    await unloading


async def test_one_that_is_wanted_again_while_it_is_used_stays(
    adapters: ReplicaAdapters, engine: EchoEngine
) -> None:
    await adapters.reconcile(["a1"])
    with engine.adapters.using("a1"):
        await adapters.reconcile([])
        await until(lambda: not engine.adapters.loaded)
        await adapters.reconcile(["a1"])
        assert engine.adapters.loaded == ("a1",)


async def test_a_busy_adapter_does_not_keep_others_out(
    adapters: ReplicaAdapters, engine: EchoEngine
) -> None:
    await adapters.reconcile(["a1"])
    with engine.adapters.using("a1"):
        await adapters.reconcile(["b1"])
        assert engine.adapters.loaded == ("b1",)


async def test_one_that_cannot_be_loaded_is_told_once_and_the_others_come(
    adapters: ReplicaAdapters, engine: EchoEngine, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    for _ in range(2):
        await adapters.reconcile(["missing", "a1"])
    assert engine.adapters.loaded == ("a1",)
    [warning] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "There is no artifact adapters/missing" in str(vars(warning)["reason"])
    with pytest.raises(NotFound):  # by hand it is tried at once
        await adapters.load("missing", by_hand=True)


async def test_why_one_cannot_be_loaded_is_told_until_it_is_not_wanted(
    adapters: ReplicaAdapters, engine: EchoEngine, world: World, tmp_path: Path
) -> None:
    publish_adapter(tmp_path, "wild", lora_alpha=1e30)
    await adapters.reconcile(["wild", "missing"])
    assert "lora_alpha is 1e+30" in adapters.problems["wild"]
    assert "There is no artifact adapters/missing" in adapters.problems["missing"]
    assert world.num_told == 2
    await adapters.reconcile(["missing"])
    assert list(adapters.problems) == ["missing"]
    assert world.num_told == 3
    await adapters.reconcile([])
    publish_adapter(tmp_path, "missing")
    await adapters.reconcile(["missing"])  # wanted anew: it waits for no time to pass
    assert engine.adapters.loaded == ("missing",)
    assert adapters.problems == {}


async def test_a_full_engine_is_no_problem_of_the_adapter(
    adapters: ReplicaAdapters, engine: EchoEngine
) -> None:
    await adapters.reconcile(["a1", "b1", "c1"])
    assert engine.adapters.loaded == ("a1", "b1")
    assert adapters.problems == {}


async def test_a_folder_that_cannot_be_read_hurts_nobody(
    adapters: ReplicaAdapters, engine: EchoEngine, tmp_path: Path
) -> None:
    place = ArtifactStore(tmp_path).path(ArtifactKind.ADAPTER, "b1") / "adapter_config.json"
    place.unlink()
    place.symlink_to(place)  # ELOOP
    await adapters.reconcile(["b1", "a1"])
    assert engine.adapters.loaded == ("a1",)


async def test_closing_waits_for_nobody(adapters: ReplicaAdapters, engine: EchoEngine) -> None:
    await adapters.reconcile(["a1"])
    with engine.adapters.using("a1"):
        await adapters.reconcile([])
        await adapters.close()
        assert engine.adapters.loaded == ("a1",)
