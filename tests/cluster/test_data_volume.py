from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster import data_volume
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
