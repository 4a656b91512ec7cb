from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster.errors import BadRequest, Conflict
from services.cluster.records import ModelRecord
from services.cluster.registry import Registry
from services.cluster.store.connection import Store
from services.inference.agent.catalogue import STARTER, Catalogue
from services.inference.models.overrides import ModelOverrides
from tests.inference.models.model_folders import write_model


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


async def test_a_missing_starter_is_explained_and_found_when_it_comes(
    registry: Registry, tmp_path: Path
) -> None:
    catalogue = Catalogue(registry, "here", tmp_path / "starter")
    assert await catalogue.register_starter() is None
    assert "no folder" in catalogue.absences[STARTER]
    write_model(tmp_path / "starter")
    await catalogue.await_starter()
    assert catalogue.absences == {}
    model = (await registry.view()).models[STARTER]
    assert (model.origin, model.host_id, model.context_tokens) == ("starter", "", 2048)


async def test_a_folder_becomes_a_model(registry: Registry, tmp_path: Path) -> None:
    catalogue = Catalogue(registry, "here", tmp_path / "starter")
    folder = write_model(tmp_path / "my-model")
    added = await catalogue.add("", str(folder))
    assert (added.name, added.host_id) == ("my-model", "here")
    assert await catalogue.add("my-model", str(folder)) == added


async def test_a_name_is_taken_once(registry: Registry, tmp_path: Path) -> None:
    catalogue = Catalogue(registry, "here", tmp_path / "starter")
    await catalogue.add("a/model", str(write_model(tmp_path / "one")))
    with pytest.raises(Conflict, match="a/model already"):
        await catalogue.add("a/model", str(write_model(tmp_path / "two")))
    with pytest.raises(Conflict, match="comes with Hearth"):
        await catalogue.add(STARTER, str(tmp_path / "two"))


@pytest.mark.parametrize("name", ["a:b", "a/b/c", "/a", "a b", "x" * 300, "a/weights"])
async def test_a_name_that_requests_could_not_say(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    catalogue = Catalogue(registry, "here", tmp_path / "starter")
    with pytest.raises(BadRequest, match="no model name"):
        await catalogue.add(name, str(tmp_path))


async def test_a_relative_folder_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="absolute path"):
        await Catalogue(registry, "here", tmp_path).add("", "models/mine")


async def test_a_folder_that_the_host_cannot_read(registry: Registry, tmp_path: Path) -> None:
    catalogue = Catalogue(registry, "here", tmp_path / "starter")
    with pytest.raises(BadRequest, match="cannot be read: File name too long") as refused:
        await catalogue.add("m", f"/{'a' * 300}")
    assert refused.value.param == "local_path"


async def test_known_models_are_listed_after_those_that_were_added(
    registry: Registry, tmp_path: Path
) -> None:
    known = {
        name: ModelRecord(name=name, origin="catalogue", context_tokens=1) for name in ("a", "b")
    }
    catalogue = Catalogue(registry, "here", tmp_path / "starter", known)
    added = await catalogue.add("b", str(write_model(tmp_path / "mine")))
    assert await catalogue.models() == [added, known["a"]]
    await registry.delete_model("b")
    assert await catalogue.models() == [known["a"], known["b"]]


async def test_what_a_person_says_of_a_folder_is_kept(registry: Registry, tmp_path: Path) -> None:
    catalogue = Catalogue(registry, "here", tmp_path / "starter")
    folder = write_model(tmp_path / "mine", max_position_embeddings=None)
    with pytest.raises(BadRequest, match="give context_tokens"):
        await catalogue.add("mine", str(folder))
    added = await catalogue.add("mine", str(folder), ModelOverrides(context_tokens=512))
    assert (await registry.view()).models["mine"] == added
    assert added.context_tokens == 512
