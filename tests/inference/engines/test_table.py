from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.cluster.errors import BadRequest
from services.inference.engines import ENGINES, engine_class

ROOT = Path(__file__).parents[3]


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match="there is vllm, echo"):
        engine_class("sglang")


def test_an_engine_is_imported_only_when_it_is_wanted() -> None:
    code = (
        "import sys; from services.inference.engines import engine_class;"
        "print(engine_class('echo').name, 'torch' in sys.modules, 'vllm' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["echo", "False", "False"]
    assert ENGINES["echo"][1] == engine_class("echo").__name__
