from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster.errors import Conflict, ModelNotFound
from services.inference.agent.catalogue import STARTER, Catalogue
from tests.inference.agent.specs import a_deployment
from tests.inference.models.model_folders import write_model
from tests.inference.weights.conftest import Host


async def test_a_folder_of_somebody_elses_stays_when_its_model_goes(
    idle: Host, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "mine")
    await Catalogue(idle.registry, "here").add("mine", str(folder))
    await idle.registry.put_deployment(a_deployment("d", model="mine"))
    with pytest.raises(Conflict, match="mine is used by deployment d;"):
        await idle.weights.kept.remove("mine")
    await idle.registry.delete_deployment("d")
    with pytest.raises(Conflict, match="is not Hearth's folder"):
        await idle.weights.kept.delete("mine")
    await idle.weights.kept.remove("mine")
    assert (folder / "config.json").is_file()
    with pytest.raises(ModelNotFound):
        await idle.weights.kept.remove("mine")


async def test_the_starter_stays(idle: Host, tmp_path: Path) -> None:
    catalogue = Catalogue(idle.registry, "here", write_model(tmp_path / "starter"))
    await catalogue.register_starter()
    with pytest.raises(Conflict, match="comes with Hearth"):
        await idle.weights.kept.remove(STARTER)
