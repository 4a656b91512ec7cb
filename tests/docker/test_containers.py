"""What the containers are, and what may be reached from where."""

from __future__ import annotations

import subprocess

import httpx
import pytest

from tests.docker.running import SERVICES, Composed, compose_command, run, wait_for
from tests.e2e.running import ROOT

pytestmark = pytest.mark.docker

PUBLISHING = {"gateway", "prometheus"}


@pytest.mark.parametrize(
    "files", [["docker-compose.yml"], ["docker-compose.yml", "docker-compose.override.yml"]]
)
def test_the_compose_files_are_valid(files: list[str]) -> None:
    chosen = [argument for name in files for argument in ("-f", name)]
    run(*compose_command(), *chosen, "config", "-q")


def test_only_the_override_asks_for_gpus() -> None:
    assert "driver: nvidia" not in (ROOT / "docker-compose.yml").read_text()
    whole = run(*compose_command(), "config")  # reads the override by itself
    assert whole.count("driver: nvidia") == 2


def test_everything_is_healthy_without_a_gpu(hearth: Composed) -> None:
    assert {service: hearth.health(service) for service in SERVICES} == dict.fromkeys(
        SERVICES, "healthy"
    )


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_container_can_do_little(hearth: Composed, service: str) -> None:
    found = hearth.inspect(service)["HostConfig"]
    assert found["ReadonlyRootfs"]
    assert found["CapDrop"] == ["ALL"]
    assert found["SecurityOpt"] == ["no-new-privileges:true"]
    assert not found["Privileged"]
    assert hearth.run_inside(service, "id", "-u") != "0"
    with pytest.raises(AssertionError, match="Read-only file system"):
        hearth.run_inside(service, "touch", "/written")


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_ports_are_published_on_this_machine_only(hearth: Composed, service: str) -> None:
    ports = hearth.inspect(service)["NetworkSettings"]["Ports"] or {}
    addresses = {published["HostIp"] for bound in ports.values() for published in bound or ()}
    assert addresses == ({"127.0.0.1"} if service in PUBLISHING else set())


def test_redis_is_reached_by_hearth_alone(hearth: Composed) -> None:
    records = f"{hearth.project}_records"
    assert run("docker", "network", "inspect", "-f", "{{.Internal}}", records) == "true"
    assert list(hearth.inspect("redis")["NetworkSettings"]["Networks"]) == [records]
    assert records not in hearth.inspect("prometheus")["NetworkSettings"]["Networks"]


def test_the_cluster_key_is_for_one_user_and_in_no_environment(hearth: Composed) -> None:
    assert hearth.run_inside("gateway", "stat", "-c", "%a", "/perm_storage/cluster.key") == "600"
    for service in SERVICES:
        names = {entry.split("=")[0] for entry in hearth.inspect(service)["Config"]["Env"]}
        assert "HEARTH_CLUSTER_KEY" not in names


def test_a_completion_comes_from_vllm(hearth: Composed) -> None:
    with hearth.client(hearth.token) as client:
        assert client.get("/readyz").json()["engines"][0]["engine"] == "vllm"
        answer = client.post(
            "/v1/completions", json={"prompt": "import os\n\ndef list_", "max_tokens": 8}
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["system_fingerprint"].startswith("vllm-")
    assert answer.json()["choices"][0]["text"]


def test_the_sign_in_link_opens_where_the_port_is_published(hearth: Composed) -> None:
    printed = hearth.run_inside("gateway", "python", "-m", "services.gateway.admin_link")
    link = printed.split()[0]
    assert link.startswith(f"http://127.0.0.1:{hearth.port}/sign-in#link=")
    page = httpx.get(link)
    assert page.status_code == 200
    assert "<html" in page.text


def test_prometheus_reads_every_process(hearth: Composed) -> None:
    wanted = {
        ("hearth", service, "1") for service in SERVICES - {"prometheus", "redis"}
    } | {("replicas", "inference", "1"), ("prometheus", "127.0.0.1", "1")}  # fmt: skip

    def read() -> set[tuple[str, str, str]]:
        answer = httpx.get(
            f"http://127.0.0.1:{hearth.prometheus_port}/api/v1/query", params={"query": "up"}
        ).json()
        return {
            (found["metric"]["job"], found["metric"]["instance"].split(":")[0], found["value"][1])
            for found in answer["data"]["result"]
        }

    wait_for(lambda: wanted <= read(), 90, "every process at Prometheus")


def test_an_older_redis_is_refused(hearth: Composed) -> None:
    """It would come up empty. Under a folder of its own, with the image of the composition."""
    script = ROOT / "deploy" / "docker" / "redis.sh"
    image = hearth.inspect("redis")["Config"]["Image"]
    told = subprocess.run(
        ["docker", "run", "--rm", "-i", "--tmpfs", "/perm_storage", "--entrypoint", "sh", image,
         "-c", "mkdir /perm_storage/redis; echo 99.1.0 > /perm_storage/redis/VERSION; sh -s"],
        input=script.read_text(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "written by Redis 99.1.0" in told.stderr
