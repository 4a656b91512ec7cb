from __future__ import annotations

from services.inference.engines.environment import engine_environment


def test_a_replica_sees_the_gpus_it_was_given_and_no_others() -> None:
    found = engine_environment("cuda", ("GPU-1", "GPU-2"), 0)
    assert found["CUDA_VISIBLE_DEVICES"] == "GPU-1,GPU-2"
    assert engine_environment("cpu", (), 1)["CUDA_VISIBLE_DEVICES"] == ""


def test_threads_are_counted_on_a_cpu() -> None:
    assert engine_environment("cpu", (), 3)["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in engine_environment("cuda", ("GPU-1",), 3)


def test_nothing_is_fetched_and_nothing_is_told() -> None:
    for kind in ("cpu", "cuda"):
        found = engine_environment(kind, (), 1)
        assert found["HF_HUB_OFFLINE"] == found["VLLM_NO_USAGE_STATS"] == "1"


def test_a_cpu_host_needs_no_compiler() -> None:
    assert engine_environment("cpu", (), 1)["TORCHDYNAMO_DISABLE"] == "1"
