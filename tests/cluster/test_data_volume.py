from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster import data_volume, redis_server
from services.cluster.errors import Unavailable
from services.cluster.settings import ClusterSettings


def test_the_key_is_made_once_and_read_by_its_user_only(tmp_path: Path) -> None:
    data_volume.prepare(tmp_path)
    key = ClusterSettings(data_dir=tmp_path).key
    data_volume.prepare(tmp_path)
    assert len(key) > 30
    assert ClusterSettings(data_dir=tmp_path).key == key
    assert (tmp_path / "cluster.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "redis").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path / "missing"))
    assert data_volume.main() == 2
    assert str(tmp_path / "missing") in capsys.readouterr().err


def test_a_launcher_and_a_backup_keep_out_of_each_others_way(tmp_path: Path) -> None:
    with (
        data_volume.without_launcher(tmp_path),
        pytest.raises(Unavailable, match="try again"),
        data_volume.without_launcher(tmp_path),
    ):
        raise AssertionError("two had the volume")
    with data_volume.without_launcher(tmp_path):
        assert (tmp_path / data_volume.LAUNCHER_LOCK).exists()


@pytest.mark.parametrize("said", ["garbage", "7.x", "\n"])
def test_a_version_that_cannot_be_read_is_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / "VERSION").write_text(said)
    with pytest.raises(Unavailable, match="does not say which Redis"):
        redis_server.guard_version(tmp_path, (7, 2, 4))
    assert (tmp_path / "VERSION").read_text() == said
