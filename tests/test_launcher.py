from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.__main__ import SERVICES, Announcer, Terminal, still_doing
from services.cluster.records import (
    DeploymentPhase,
    DeploymentRecord,
    ProcessRecord,
    ReplicaPhase,
    ReplicaRecord,
)
from services.cluster.registry import ClusterView
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store

ROOT = Path(__file__).parents[1]
STARTING, READY = DeploymentPhase.STARTING, DeploymentPhase.READY
IMPORTING = "Replica d-0 is importing the engine."


class Screen:
    """A launcher's terminal, with a clock that tests turn, and views for it."""

    def __init__(
        self, store: Store, capsys: pytest.CaptureFixture[str], public_url: str = ""
    ) -> None:
        self.now = 0.0
        self.pids: set[int] = set()
        self._terminal = Terminal(clock=lambda: self.now)
        self._announcer = Announcer(store, self._terminal, lambda: self.pids, public_url)
        self._capsys = capsys

    async def after(self, view: ClusterView) -> list[str]:
        """The lines that a view adds, without their times."""
        await self._announcer.look(view)
        lines = self._capsys.readouterr().out.splitlines()
        return [line.split(" s] ", 1)[-1] for line in lines if line]

    def view(
        self,
        phase: DeploymentPhase,
        detail: str = "",
        *,
        processes_age: float = -1,
        replica: ReplicaPhase | None = None,
        replica_age: float = -1,
    ) -> ClusterView:
        """Ages are seconds before the launcher's start."""
        began = self._terminal.started_at
        processes = [
            ProcessRecord(
                process_id=f"{service}-{processes_age}",
                service=service,
                host_id="here",
                http_address="127.0.0.1:1",
                status="ready",
                pid=number,
                started_at=began - processes_age,
            )
            for number, service in enumerate(SERVICES, 1)
        ]
        deployment = DeploymentRecord(
            deployment_id="d",
            model="m",
            created_at=began - 1000,
            updated_at=began - 1000,
            phase=phase,
            detail=detail,
        )
        replicas = []
        if replica:
            replicas = [
                ReplicaRecord(
                    replica_id="d-0",
                    deployment_id="d",
                    model="m",
                    engine="vllm",
                    host_id="here",
                    phase=replica,
                    started_at=began - replica_age,
                )
            ]
        return ClusterView(
            deployments={"d": deployment},
            processes={p.process_id: p for p in processes},
            replicas={r.replica_id: r for r in replicas},
        )


@pytest.fixture
def screen(store: Store, capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(store, capsys)


async def test_what_an_earlier_launcher_left_is_not_said(screen: Screen) -> None:
    old = screen.view(READY, processes_age=5, replica=ReplicaPhase.READY, replica_age=5)
    assert await screen.after(old) == []
    failed = screen.view(DeploymentPhase.FAILED, "The old agent was stopped.", processes_age=5)
    assert await screen.after(failed) == [], "the old agent's last word"
    said = await screen.after(screen.view(DeploymentPhase.FAILED, "The old agent was stopped."))
    assert not any(line.startswith("m:") for line in said)
    assert await screen.after(screen.view(STARTING, IMPORTING)) == [f"m: starting. {IMPORTING}"]


async def test_own_processes_do_not_make_an_earlier_replica_ready(screen: Screen) -> None:
    old = screen.view(READY, replica=ReplicaPhase.READY, replica_age=5)
    said = await screen.after(old)
    assert [f"{service} is up" for service in SERVICES] == said[: len(SERVICES)]
    assert not any("ready" in line for line in said)
    new = screen.view(READY, replica=ReplicaPhase.READY)
    assert (await screen.after(new))[:2] == [
        "m: ready.",
        "Hearth is ready: http://127.0.0.1:1 answers with m.",
    ]


async def test_the_public_address_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    public = "https://tools.example/hearth"
    told = await Screen(store, capsys, public).after(
        Screen(store, capsys).view(READY, replica=ReplicaPhase.READY)
    )
    addresses = [word for line in told for word in line.split() if "://" in word]
    assert [address.partition("#")[0] for address in addresses] == [
        public,
        f"{public}/sign-in",
        public,
    ]


async def test_a_process_counts_by_its_pid_too(screen: Screen) -> None:
    screen.pids = {1}
    assert await screen.after(screen.view(READY, processes_age=5)) == [f"{SERVICES[0]} is up"]


async def test_a_phase_that_was_left_is_said_when_the_agent_keeps_it(screen: Screen) -> None:
    await screen.after(screen.view(DeploymentPhase.FAILED, "It does not fit.", processes_age=5))
    view = screen.view(DeploymentPhase.FAILED, "It does not fit.")
    assert "m: failed. It does not fit." not in await screen.after(view)
    screen.now = 6
    assert await screen.after(view) == ["m: failed. It does not fit."]
    assert await screen.after(view) == []


async def test_every_change_of_phase_is_said_and_a_detail_once_in_a_phase(screen: Screen) -> None:
    ready = screen.view(READY, replica=ReplicaPhase.READY)
    killed = screen.view(STARTING, "Replica d-0 is: it was killed.")
    await screen.after(ready)
    for _ in range(2):
        assert await screen.after(killed) == ["m: starting. Replica d-0 is: it was killed."]
        assert await screen.after(screen.view(STARTING, IMPORTING)) == [f"m: starting. {IMPORTING}"]
        assert await screen.after(killed) == []
        assert await screen.after(ready) == ["m: ready."]


async def test_a_replica_that_ends_again_and_again_is_said_once(screen: Screen) -> None:
    await screen.after(screen.view(STARTING, IMPORTING))
    failed = [
        screen.view(DeploymentPhase.FAILED, f"It ended {number} times in a row: {reason}")
        for number, reason in ((3, "No memory."), (4, "No memory."), (5, "No disk."))
    ]
    assert [bool(await screen.after(view)) for view in failed] == [True, False, True]


async def test_a_long_silence_is_explained_every_20_seconds(screen: Screen) -> None:
    await screen.after(screen.view(STARTING, "Replica d-0 is being started."))
    view = screen.view(STARTING, IMPORTING)
    said = {}
    for second in range(1, 62, 5):
        screen.now = second
        said[second] = await screen.after(view)
    hint = "; the first start takes a minute or two"
    assert {second: lines for second, lines in said.items() if lines} == {
        1: [f"m: starting. {IMPORTING}"],
        21: [f"m: still importing the engine (20 s){hint}"],
        41: [f"m: still importing the engine (40 s){hint}"],
        61: [f"m: still importing the engine (60 s){hint}"],
    }


def test_what_a_replica_is_doing() -> None:
    assert still_doing(IMPORTING) == "importing the engine"
    assert still_doing("Replica a is being started. Replica b is being started.") == "starting"


def refusal(settings: dict[str, str], *, may_write: bool = True) -> str:
    """What the launcher says when it refuses to start."""
    # By a shell: what runs between fork and exec here, gRPC's handlers among it, may say something.
    limited = ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash"]
    done = subprocess.run(
        [*([] if may_write else limited), sys.executable, "-m", "services"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HEARTH_REDIS_URL", "foo", "must begin with redis://"),
        ("HEARTH_DATA_DIR", "", "name a folder"),
        ("HEARTH_DATA_DIR", str(Path(__file__)), "it is no folder"),
        ("HEARTH_DATA_DIR", str(Path(__file__) / "data"), "Not a directory"),
        ("HEARTH_DATA_DIR", "/proc/hearth", "No such file or directory"),
    ],
)
def test_a_bad_setting_is_one_sentence_that_names_it(name: str, value: str, said: str) -> None:
    line = refusal({name: value})
    assert line.startswith(f"{name}: ")
    assert said in line


def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path: Path) -> None:
    line = refusal({"HEARTH_DATA_DIR": str(tmp_path)}, may_write=False)
    assert line.startswith(f"HEARTH_DATA_DIR: Hearth cannot keep its data in {tmp_path}: ")


def test_no_service_takes_an_empty_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_DATA_DIR", "")
    with pytest.raises(ValidationError, match="name a folder"):
        ClusterSettings()
