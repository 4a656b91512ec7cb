"""A volume with no room, in the middle of a download. Root only: it mounts one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cluster.errors import OutOfDisk
from services.inference.weights.download import Download
from services.inference.weights.hub import Hub
from services.inference.weights.places import WeightsPlace
from tests.faults.filesystems import tmpfs, why_no_volumes
from tests.inference.weights.conftest import BIG, MODEL, SOON
from tests.inference.weights.hub_double import COMMIT, HubDouble

MIB = 1024 * 1024
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(why_no_volumes()), reason=why_no_volumes() or "it can"),
]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "volume", 8 * MIB) as volume:
        yield volume


async def test_a_disk_that_fills_up_fails_with_advice_and_goes_on_later(
    volume: Path, hub: HubDouble, model_folder: Path
) -> None:
    hub.add(MODEL, model_folder)
    size = (model_folder / BIG).stat().st_size
    asker, place = Hub(hub.url), WeightsPlace(volume, MODEL, COMMIT)
    other = volume / "other"

    def fill(told: object) -> None:
        if not other.exists() and hub.served(BIG) > MIB:
            other.write_bytes(bytes(5 * MIB))

    download = Download(asker, fill, patience=SOON, reserve_bytes=0)
    with pytest.raises(OutOfDisk, match="is full; what has come of owner/model is kept"):
        await download.run(MODEL, place, lambda: None)
    assert not place.whole.exists()
    other.write_bytes(b"")
    before = hub.served(BIG)
    await download.run(MODEL, place, lambda: None)
    assert place.is_whole
    assert hub.served(BIG) - before < size
    await asker.close()


async def test_a_volume_that_is_too_small_is_said_before_a_byte_is_fetched(
    volume: Path, hub: HubDouble, model_folder: Path
) -> None:
    hub.add(MODEL, model_folder)
    asker = Hub(hub.url)
    download = Download(asker, lambda told: None, patience=SOON)
    with pytest.raises(OutOfDisk, match=r"256\.0 MiB have to stay free"):
        await download.run(MODEL, WeightsPlace(volume, MODEL, COMMIT), lambda: None)
    await asker.close()
    assert len(hub.requests) == 1
