from __future__ import annotations

from pathlib import Path

from services.cluster.records import ModelRecord
from services.inference.models.catalogue import load_catalogue
from services.inference.models.document import document, memory_bytes

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "make models-doc writes it"


def test_every_model_has_its_row() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| `")]
    for name in load_catalogue():
        assert sum(line.startswith(f"| `{name}` |") for line in rows) == 1


def test_memory_is_that_of_the_weights_and_of_some_tokens() -> None:
    model = ModelRecord(
        name="m",
        origin="catalogue",
        num_parameters=100,
        weights_bytes=400,
        kv_values_per_token=10,
        context_tokens=50,
    )
    assert memory_bytes(model) == 200 + 10 * 2 * 50
    quantized = model.model_copy(update={"weights_bytes": 60, "context_tokens": 10**6})
    assert memory_bytes(quantized) == 60 + 10 * 2 * 8192
