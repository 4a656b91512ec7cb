from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from services.inference.agent.launch import obstacle, replica_command, replica_environment
from services.inference.serving.arguments import parse
from services.inference.settings import InferenceSettings
from tests.inference.agent.model_folders import write_model
from tests.inference.agent.specs import MODEL, a_deployment, a_spec, an_assignment

SETTINGS = InferenceSettings(engine_threads=3, host_id="here")


def test_the_replica_understands_its_command() -> None:
    spec = a_spec()
    command = replica_command(spec, an_assignment(spec, devices=("g0", "g1")), "cuda", SETTINGS)
    found = parse(command[3:])
    assert (found.replica_id, found.deployment_id) == ("d-0", "d")
    assert (found.device_ids, found.device_kind) == (("g0", "g1"), "cuda")


def test_the_environment_is_the_agents_and_the_engines() -> None:
    spec = a_spec()
    on_gpus = replica_environment({"A": "1"}, an_assignment(spec), "cuda", SETTINGS)
    assert (on_gpus["A"], on_gpus["CUDA_VISIBLE_DEVICES"]) == ("1", "g0")
    on_cpu = replica_environment({}, an_assignment(spec), "cpu", SETTINGS)
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
