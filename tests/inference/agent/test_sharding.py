from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.records import ModelRecord
from services.inference.agent.sharding import (
    Shape,
    Sharding,
    explain,
    sharding,
    splits_heads,
    valid_counts,
)

SEVEN_BILLION = Shape(28, 4, num_layers=28, can_pipeline=True, width_divisor=512)
SMALL = Shape(12, 2, num_layers=28, can_pipeline=True, width_divisor=128)  # Qwen2.5-Coder-1.5B
EMBEDDINGS = Shape(num_heads=12, num_kv_heads=12, num_layers=6, width_divisor=192)

# As in models that there are: each key-value head belongs to a group of heads.
shapes = st.builds(
    lambda groups, kv, layers, can, widths: Shape(groups * kv, kv, layers, can, widths),
    st.integers(1, 16),
    st.integers(1, 16),
    st.integers(1, 96),
    st.booleans(),
    st.sampled_from([64, 128, 192, 320, 960]),
)


def vllm_takes(shape: Shape, found: Sharding) -> bool:
    """The checks of vLLM 0.32: config/model.py, the layers of Llama and Qwen2, `divide`."""
    tp, kv = found.tensor_parallel, shape.num_kv_heads
    cut = shape.num_heads % tp == 0 and shape.width_divisor % tp == 0
    kv_heads = kv % tp == 0 if kv >= tp else tp % kv == 0
    pipeline = found.pipeline_parallel == 1 or shape.can_pipeline
    return cut and kv_heads and pipeline and found.pipeline_parallel <= shape.num_layers


@given(shapes, st.integers(1, 16))
def test_what_is_answered_vllm_takes(shape: Shape, num_devices: int) -> None:
    found = sharding(shape, num_devices)
    if found is not None:
        assert found.num_devices == num_devices
        assert vllm_takes(shape, found)


@given(shapes, st.integers(1, 16))
def test_what_is_refused_vllm_takes_in_no_way(shape: Shape, num_devices: int) -> None:
    ways = [
        Sharding(tp, num_devices // tp)
        for tp in range(1, num_devices + 1)
        if num_devices % tp == 0 and vllm_takes(shape, Sharding(tp, num_devices // tp))
    ]
    assert (sharding(shape, num_devices) is None) == (not ways)
    if ways:
        # Tensor parallelism comes first: a pipeline is no faster for one request.
        assert sharding(shape, num_devices) == max(ways, key=lambda way: way.tensor_parallel)


@given(shapes)
def test_the_numbers_that_are_offered_work(shape: Shape) -> None:
    counts = valid_counts(shape, 8)
    assert counts[0] == 1
    assert counts == [n for n in range(1, 9) if sharding(shape, n)]


@pytest.mark.parametrize(
    ("num_devices", "wanted"),
    [(1, (1, 1)), (2, (2, 1)), (3, (1, 3)), (4, (4, 1)), (8, (4, 2))],
)
def test_a_model_of_28_heads(num_devices: int, wanted: tuple[int, int]) -> None:
    found = sharding(SEVEN_BILLION, num_devices)
    assert found is not None
    assert (found.tensor_parallel, found.pipeline_parallel) == wanted


def test_one_key_value_head_is_repeated() -> None:
    assert splits_heads(Shape(num_heads=8, num_kv_heads=1, num_layers=1), 8)
    assert not splits_heads(Shape(num_heads=12, num_kv_heads=4, num_layers=1), 6)


def test_of_an_unknown_shape_powers_of_two_are_taken() -> None:
    assert valid_counts(Shape(), 8) == [1, 2, 4, 8]
    assert sharding(Shape(num_heads=12, num_kv_heads=3), 3) is None
    assert "not known" in explain("m", Shape(), 3)


def test_widths_that_cannot_be_cut_are_dealt_out_in_stages() -> None:
    assert splits_heads(SMALL, 6)
    assert sharding(SMALL, 6) == Sharding(tensor_parallel=2, pipeline_parallel=3)
    assert explain("m", SMALL, 6) == (
        "The widths of its layers cannot be cut into 6: its 28 layers are dealt out to 3 stages"
        " (pipeline parallel) of 2 devices each (tensor parallel)."
    )
    narrow = Shape(num_heads=12, num_kv_heads=12, num_layers=6, width_divisor=64)
    assert explain("m", narrow, 3) == (
        "m cannot be spread over 3 devices: the widths of its layers cannot be cut into 3, and its"
        " layers cannot be dealt out; try 1, 2, 4."
    )


def test_of_unknown_widths_powers_of_two_are_taken() -> None:
    shape = Shape(num_heads=48, num_kv_heads=48, num_layers=4)
    assert valid_counts(shape, 8) == [1, 2, 4, 8]
    assert "widths of its layers are not known, and only powers of two are safe" in explain(
        "m", shape, 3
    )


def test_the_way_is_told_in_a_sentence() -> None:
    assert explain("m", SEVEN_BILLION, 1) == "m runs on one device."
    assert explain("m", SEVEN_BILLION, 4) == "Every layer of m is cut into 4 (tensor parallel)."
    assert explain("m", SEVEN_BILLION, 3) == (
        "Its 28 heads and 4 key-value heads cannot be cut into 3: its 28 layers are dealt out to 3"
        " stages (pipeline parallel)."
    )
    assert "2 stages (pipeline parallel) of 4 devices each" in explain("m", SEVEN_BILLION, 8)


def test_a_refusal_names_the_numbers_that_work() -> None:
    assert explain("m", EMBEDDINGS, 8) == (
        "m cannot be spread over 8 devices: it has 12 heads and 12 key-value heads, and its layers"
        " cannot be dealt out; try 1, 2, 3, 4, 6, 12."
    )
    thin = Shape(num_heads=2, num_kv_heads=2, num_layers=2, can_pipeline=True)
    assert explain("m", thin, 3).endswith("and 2 layers are too few to be dealt out; try 1, 2, 4.")


@pytest.mark.parametrize(
    ("architecture", "can_pipeline"),
    [
        ("Qwen2ForCausalLM", True),
        ("Mamba2ForCausalLM", False),
        ("Gemma3nForConditionalGeneration", False),
    ],
)
def test_layers_are_dealt_out_only_where_the_class_in_vllm_can(
    architecture: str, can_pipeline: bool
) -> None:
    model = ModelRecord(
        name="m",
        origin="local",
        architecture=architecture,
        num_layers=12,
        num_heads=4,
        num_kv_heads=4,
    )
    assert Shape.of(model).can_pipeline is can_pipeline
    assert (3 in valid_counts(Shape.of(model))) is can_pipeline
