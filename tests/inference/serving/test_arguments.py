from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.cluster.errors import BadRequest, NotFound
from services.cluster.records import DeploymentRecord, ModelRecord
from services.cluster.registry import ClusterView
from services.inference.serving.arguments import engine_config, parse
from services.inference.settings import InferenceSettings

COMMAND = ["--replica-id", "r1", "--deployment-id", "d1", "--devices", "GPU-1,GPU-2"]


def settings(**fields: Any) -> InferenceSettings:
    return InferenceSettings(**fields)


def view(engine: str = "vllm", **model: Any) -> ClusterView:
    deployment = DeploymentRecord(
        deployment_id="d1",
        model="m",
        engine=engine,
        context_tokens=2048,
        created_at=0,
        updated_at=0,
    )
    fields = {"name": "m", "origin": "local", "local_path": "/weights/m", **model}
    record = ModelRecord(**fields)
    return ClusterView(deployments={"d1": deployment}, models={"m": record})


def test_what_the_agent_says_is_read() -> None:
    found = parse([*COMMAND, "--device-kind", "cuda", "--kv-cache-bytes", "7", "--agent-pid", "3"])
    assert found.device_ids == ("GPU-1", "GPU-2")
    assert (found.device_kind, found.kv_cache_bytes, found.agent_pid) == ("cuda", 7, 3)
    by_hand = parse(COMMAND)
    assert (by_hand.device_kind, by_hand.kv_cache_bytes, by_hand.agent_pid) == ("cpu", 0, 0)


def test_the_engine_runs_the_deployments_model() -> None:
    arguments = parse([*COMMAND, "--device-kind", "cuda", "--kv-cache-bytes", "7"])
    deployment, config = engine_config(arguments, settings(max_lora_rank=8), view())
    assert deployment.deployment_id == "d1"
    assert config.model_folder == Path("/weights/m")
    assert (config.tensor_parallel, config.pipeline_parallel) == (2, 1)
    assert (config.context_tokens, config.kv_cache_bytes) == (2048, 7)
    assert (config.max_running, config.max_lora_rank, config.embeds) == (256, 8, False)
    on_cpu = engine_config(parse(COMMAND), settings(), view())[1]
    assert on_cpu.max_running == 32


def test_stages_are_the_agents_and_limits_the_deployments() -> None:
    limits = {"max_running_requests": 3, "quantization": "fp8", "speculative_tokens": 4}
    known = view()
    record = known.deployments["d1"].model_copy(update=limits)
    known = ClusterView(deployments={"d1": record}, models=known.models)
    arguments = parse([*COMMAND, "--pipeline-parallel", "2"])
    config = engine_config(arguments, settings(max_running_requests=9), known)[1]
    assert (config.tensor_parallel, config.pipeline_parallel) == (1, 2)
    assert (config.max_running, config.quantization, config.speculative_tokens) == (3, "fp8", 4)


@pytest.mark.parametrize(
    ("completes", "embeds", "wanted"), [(True, True, False), (False, True, True)]
)
def test_a_model_that_only_embeds_is_run_so(completes: bool, embeds: bool, wanted: bool) -> None:
    known = view(supports_completion=completes, supports_embeddings=embeds)
    assert engine_config(parse(COMMAND), settings(), known)[1].embeds is wanted


def test_what_is_not_known_cannot_be_run() -> None:
    with pytest.raises(NotFound, match="no deployment d1"):
        engine_config(parse(COMMAND), settings(), ClusterView())
    without_model = ClusterView(deployments=view().deployments)
    with pytest.raises(NotFound, match="no model m"):
        engine_config(parse(COMMAND), settings(), without_model)


def test_the_double_needs_a_word() -> None:
    with pytest.raises(BadRequest, match="HEARTH_ALLOW_ECHO"):
        engine_config(parse(COMMAND), settings(), view("echo"))
    allowed = settings(allow_echo=True)
    assert engine_config(parse(COMMAND), allowed, view("echo"))[1].model == "m"


def test_what_was_said_of_a_model_goes_before_its_files() -> None:
    told = view(chat_template="{{ messages }}", fim_family="qwen", tool_parser="hermes")
    config = engine_config(parse(COMMAND), settings(), told)[1]
    assert (config.chat_template, config.fim_family) == ("{{ messages }}", "qwen")
    assert config.tool_parser == "hermes"
    assert engine_config(parse(COMMAND), settings(allow_echo=True), view())[1].fim_family == ""


@pytest.mark.parametrize(
    ("architecture", "takes"),
    [("Qwen2ForCausalLM", True), ("MambaForCausalLM", False), ("", True)],
)
def test_adapters_are_taken_where_vllm_serves_them(architecture: str, takes: bool) -> None:
    known = view(architecture=architecture)
    assert engine_config(parse(COMMAND), settings(), known)[1].takes_adapters is takes
