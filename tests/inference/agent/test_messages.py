from __future__ import annotations

import pytest

from services.cluster.devices.records import DeviceSnapshot
from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import AdapterPolicy, DeploymentPhase
from services.cluster.registry import ClusterView
from services.inference.agent.messages import (
    deployment_message,
    deployment_record,
    deployments_message,
    devices_message,
    model_message,
    model_overrides,
    progress_message,
)
from services.inference.models.catalogue import load_catalogue
from services.inference.models.overrides import ModelOverrides
from services.inference.weights.downloads import WeightsState, WeightsStatus
from tests.inference.agent.specs import (
    MODEL,
    a_deployment,
    a_device,
    a_replica,
    a_spec,
    an_assignment,
)


def test_what_is_not_set_has_its_default() -> None:
    record = deployment_record(pb.Deployment(model="m"))
    assert (record.engine, record.num_replicas, record.devices_per_replica) == ("vllm", 1, 1)
    assert record.adapter_policy is AdapterPolicy.LATEST_BEST


def test_there_and_back() -> None:
    record = a_deployment(
        num_replicas=2,
        device_bytes=5,
        context_tokens=100,
        kv_cache_bytes=3,
        max_running_requests=7,
        quantization="fp8",
        speculative_tokens=4,
        adapter_policy=AdapterPolicy.NAMED,
        default_adapter_id="a",
        adapter_ids=("a", "b"),
        yields_to_runs=True,
        team_id="t",
        project_id="p",
    )
    back = deployment_record(deployment_message(record, ClusterView()))
    assert back == record.model_copy(update={"created_at": 0.0, "updated_at": 0.0})


def test_the_answer_of_the_agent_cannot_be_sent_in() -> None:
    sent = pb.Deployment(model="m", phase=pb.DEPLOYMENT_PHASE_READY, detail="mine")
    record = deployment_record(sent)
    assert (record.phase, record.detail) == (DeploymentPhase.PENDING, "")


def test_an_unknown_policy_is_refused() -> None:
    sent = pb.Deployment.FromString(b"\x58\x63")  # field 11, number 99
    with pytest.raises(BadRequest, match="adapter_policy must be off, latest_best, named"):
        deployment_record(sent)


def test_deployments_come_with_their_replicas_oldest_first() -> None:
    old, new = a_deployment("z", created_at=1.0), a_deployment("a", created_at=2.0)
    replica = a_replica("z-0", device_ids=("g0",), loaded_adapter_ids=("x",))
    message = deployments_message(
        ClusterView(deployments={"a": new, "z": old}, replicas={"z-0": replica})
    )
    assert [d.deployment_id for d in message.deployments] == ["z", "a"]
    shown = message.deployments[0].replicas[0]
    assert (shown.replica_id, shown.phase, list(shown.device_ids)) == ("z-0", "ready", ["g0"])
    assert not message.deployments[1].replicas


def test_devices_come_with_their_holders() -> None:
    snapshot = DeviceSnapshot(0, (a_device("g0"),), (an_assignment(a_spec()),))
    device = devices_message(snapshot).devices[0]
    assert [a.holder for a in device.assignments] == ["replica/d-0"]
    assert not device.HasField("temperature")


def test_weights_are_as_they_are_on_this_host() -> None:
    here = model_message(MODEL, WeightsStatus(WeightsState.PRESENT, 7, 7))
    assert (here.weights.state, here.weights.present_bytes) == (pb.WEIGHTS_STATE_PRESENT, 7)
    assert here.WhichOneof("origin") == "local_path"
    failed = WeightsStatus(WeightsState.FAILED, 3, 7, detail="No.")
    weights = model_message(MODEL, failed).weights
    assert (weights.state, weights.detail) == (pb.WEIGHTS_STATE_FAILED, "No.")


def test_progress_has_a_speed_while_the_end_is_known() -> None:
    status = WeightsStatus(WeightsState.DOWNLOADING, 30, 130, 50.0, "a.safetensors")
    message = progress_message(MODEL, status)
    assert (message.bytes_per_second, message.remaining_seconds) == (2.0, 50.0)
    unknown = progress_message(MODEL, WeightsStatus(WeightsState.DOWNLOADING, 30, 130))
    assert not unknown.HasField("remaining_seconds")
    assert unknown.bytes_per_second == 0


def test_a_model_is_told_with_all_that_is_known_of_it() -> None:
    record = load_catalogue()["qwen3.6/35b-a3b"]
    message = model_message(record, WeightsStatus(WeightsState.ABSENT))
    assert (message.kind, message.hub_id) == ("catalogue", record.hub_id)
    assert message.capabilities.tools
    assert message.capabilities.reasoning
    assert message.capabilities.toolbox
    assert message.capabilities.images
    assert not message.capabilities.finetune
    assert message.num_active_parameters == record.num_active_parameters
    assert (message.num_layers, message.num_heads, message.num_kv_heads) == (40, 16, 2)
    assert message.kv_values_per_token == record.kv_values_per_token
    assert (message.tool_parser, message.reasoning_parser) == ("qwen3_coder", "qwen3")


def test_what_a_person_says_of_a_model() -> None:
    sent = pb.ModelOverrides(
        context_tokens=1,
        fill_in_the_middle_family="f",
        chat_template="c",
        tool_parser="t",
        reasoning_parser="r",
    )
    assert model_overrides(sent) == ModelOverrides(1, "f", "c", "t", "r")
    assert model_overrides(pb.ModelOverrides()) == ModelOverrides()
