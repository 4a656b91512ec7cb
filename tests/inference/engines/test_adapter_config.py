from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cluster.errors import BadRequest
from services.inference.engines.adapter_config import CONFIG, read_config

SOUND = {"peft_type": "LORA", "r": 8, "lora_alpha": 16}


def written(folder: Path, **changes: Any) -> Path:
    (folder / CONFIG).write_text(json.dumps({**SOUND, **changes}))
    return folder


def test_one_as_peft_writes_it(tmp_path: Path) -> None:
    patterns = {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"layers.1.q_proj": 32}}
    config = read_config(written(tmp_path, **patterns), 8)
    assert (config.rank_of("model.layers.0.q_proj"), config.rank_of("model.up_proj")) == (4, 8)
    assert config.rank_of("model.my_q_proj") == 8
    assert config.scaling_of("model.layers.1.q_proj") == 8
    assert config.scaling_of("model.layers.0.q_proj") == 4
    assert read_config(written(tmp_path, use_rslora=True, r=4), 8).scaling_of("x") == 8


@pytest.mark.parametrize(
    "alpha", [None, 0, -1, True, "16", 65537, 1e30, float("inf"), float("nan"), 10**400]
)
def test_a_scaling_that_no_training_gives(tmp_path: Path, alpha: object) -> None:
    for changes in ({"lora_alpha": alpha}, {"alpha_pattern": {"q_proj": alpha}}):
        with pytest.raises(BadRequest):
            read_config(written(tmp_path, **changes), 8)


@pytest.mark.parametrize("rank", [None, 0, -1, True, "8", 8.0, 9, 10**400, 1e300])
def test_a_rank_that_is_none(tmp_path: Path, rank: object) -> None:
    for changes in ({"r": rank}, {"rank_pattern": {"q_proj": rank}}):
        with pytest.raises(BadRequest, match="rank is .*takes 1 to 8"):
            read_config(written(tmp_path, **changes), 8)


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_alpha": 8193},
        {"alpha_pattern": {"q_proj": 8193}},
        {"lora_alpha": 1025, "rank_pattern": {"q_proj": 1}},
        {"lora_alpha": 2900, "use_rslora": True},
    ],
)
def test_the_scaling_is_bounded_by_rank_too(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="at most 1024 is taken"):
        read_config(written(tmp_path, **changes), 8)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000])
def test_no_number_of_the_file_is_infinite(tmp_path: Path, number: str) -> None:
    (tmp_path / CONFIG).write_text(f'{json.dumps(SOUND)[:-1]}, "lora_dropout": {number}}}')
    with pytest.raises(BadRequest, match="is not JSON"):
        read_config(tmp_path, 8)


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "IA3"},
        {"use_rslora": "yes"},
        {"rank_pattern": [8]},
        {"alpha_pattern": {"(a+)+b": 8}},
        {"rank_pattern": {"(": 8}},
    ],
)
def test_what_else_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="adapter_config.json"):
        read_config(written(tmp_path, **changes), 8)
