"""The engines by name. A module is imported only when its engine is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from services.cluster.errors import BadRequest

if TYPE_CHECKING:
    from services.inference.engines.base import Engine

ENGINES = {
    "vllm": ("services.inference.engines.vllm_engine", "VllmEngine"),
    "echo": ("services.inference.engines.echo_engine", "EchoEngine"),
}


def engine_class(name: str) -> type[Engine]:
    """Raises BadRequest for a name that is in no table."""
    if name not in ENGINES:
        raise BadRequest(f"There is no engine {name!r}; there is {', '.join(ENGINES)}.")
    module, attribute = ENGINES[name]
    found: type[Engine] = getattr(import_module(module), attribute)
    return found
