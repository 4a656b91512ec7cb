from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from services.cluster.devices.records import GIB
from services.inference.agent.launch import obstacle, replica_command, replica_environment
from services.inference.serving.arguments import parse
from services.inference.settings import InferenceSettings
from tests.inference.agent.specs import MODEL, a_deployment, a_spec, an_assignment
from tests.inference.models.model_folders import write_model

SETTINGS = InferenceSettings(engine_threads=3, host_id="here")


def test_the_replica_understands_its_command() -> None:
    spec = a_spec()
    command = replica_command(spec, an_assignment(spec, devices=("g0", "g1")), "cuda", SETTINGS)
    found = parse(command[3:])
    assert (found.replica_id, found.deployment_id) == ("d-0", "d")
    assert (found.device_ids, found.device_kind) == (("g0", "g1"), "cuda")
    assert (found.pipeline_parallel, found.device_share) == (1, 0.0)


def test_the_shares_of_a_device_come_to_no_more_than_all_of_it() -> None:
    third = a_spec(a_deployment(device_bytes=8 * GIB))
    command = replica_command(third, an_assignment(third), "cuda", SETTINGS, 24 * GIB)
    assert parse(command[3:]).device_share == 0.3333


def test_a_model_whose_heads_cannot_be_cut_is_spread_by_layers() -> None:
    shape = {"num_layers": 28, "num_heads": 28, "num_kv_heads": 4}
    spec = replace(
        a_spec(a_deployment(devices_per_replica=3)), model=MODEL.model_copy(update=shape)
    )
    assignment = an_assignment(spec, devices=("g0", "g1", "g2"))
    found = parse(replica_command(spec, assignment, "cuda", SETTINGS)[3:])
    assert found.pipeline_parallel == 3


def test_the_environment_is_the_agents_and_the_engines() -> None:
    spec = a_spec()
    on_gpus = replica_environment({"A": "1"}, an_assignment(spec), "cuda", SETTINGS)
    assert (on_gpus["A"], on_gpus["CUDA_VISIBLE_DEVICES"]) == ("1", "g0")
    on_cpu = replica_environment({"HEARTH_HUB_TOKEN": "t"}, an_assignment(spec), "cpu", SETTINGS)
    assert "HEARTH_HUB_TOKEN" not in on_cpu
    assert on_cpu["OMP_NUM_THREADS"] == "3"
    assert on_cpu["HEARTH_DEVICE_HOLDER"] == "replica/d-0"


def test_what_forbids_a_start(tmp_path: Path) -> None:
    kept = replace(a_spec(), model=MODEL.model_copy(update={"local_path": "m"}))
    volume = SETTINGS.model_copy(update={"data_dir": tmp_path})
    assert "are not on host here" in obstacle(kept, "cpu", volume)
    here = replace(a_spec(), model=MODEL.model_copy(update={"local_path": str(tmp_path / "m")}))
    assert "are not on host here" in obstacle(here, "cpu", SETTINGS)
    write_model(tmp_path / "m")
    assert obstacle(here, "cpu", SETTINGS) == ""
    assert obstacle(kept, "cpu", volume) == ""
    assert "too few" in obstacle(replace(here, device_bytes=1000), "cpu", SETTINGS)
    assert "catalogue" in obstacle(replace(here, model=None), "cpu", SETTINGS)
    echo = a_spec(a_deployment(engine="echo"))
    assert "HEARTH_ALLOW_ECHO=1" in obstacle(echo, "cpu", SETTINGS)
