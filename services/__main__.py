"""The whole cluster of one host as one process tree: `python -m services`, or `make run`.

Starts Redis unless HEARTH_REDIS_URL names one, then a process for each service, and starts again
what ends. Says ready when every process said so and a model answers. Ctrl-C ends all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.child import Child
from services.cluster import data_volume, redis_server
from services.cluster.errors import HearthError, StoreUnavailable, Unavailable
from services.cluster.identity import SIGN_IN_LINK_SECONDS, Identity
from services.cluster.records import (
    DeploymentPhase,
    DeploymentRecord,
    ProcessRecord,
    ReplicaPhase,
)
from services.cluster.registry import ClusterView, Registry
from services.cluster.settings import LocationSettings, load
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.gateway.settings import GatewaySettings

SERVICES = ("inference", "datascan", "finetune", "gateway", "webui")
_REDIS_START_SECONDS = 120  # a long append-only file is read back first
_GRACE_SECONDS = 20
_REMINDER_SECONDS = 20
_AGENT_ANSWERS_SECONDS = 5


class Terminal:
    """Lines for the person who started it. `started_at` is the launcher's own start, unix time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.started_at = time.time()
        self._clock = clock
        self._begun = clock()

    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._begun

    def say(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201 the launcher talks to a person at a terminal

    def report(self, line: str) -> None:
        self.say(f"[{self.seconds():6.1f} s] {line}")


@contextlib.contextmanager
def naming_data_dir(data_dir: Path) -> Iterator[None]:
    """Raises Unavailable, which names the variable, when the file system refuses the block."""
    try:
        yield
    except OSError as error:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        where = f" ({error.filename})" if error.filename else ""
        raise Unavailable(
            f"HEARTH_DATA_DIR: Hearth cannot keep its data in {data_dir}: {reason}{where}."
            " Name a folder that it may write to, on a disk with room."
        ) from None


@contextlib.contextmanager
def only_launcher(data_dir: Path) -> Iterator[None]:
    """Raises Unavailable when another launcher runs on the same data volume."""
    with naming_data_dir(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / data_volume.LAUNCHER_LOCK).open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"Hearth runs already on {data_dir}. Stop it with Ctrl-C first, or set"
                " HEARTH_DATA_DIR and HEARTH_PORT to run a second one."
            ) from None
        yield


async def connect(url: str, data_dir: Path, redis: Child | None) -> Store:
    """The store, as soon as Redis has read its files. Raises Unavailable.

    Records of an older Hearth are backed up to the data volume first, and migrated.
    """
    deadline = time.monotonic() + _REDIS_START_SECONDS
    while True:
        try:
            return await Store.connect(url, data_dir=data_dir)
        except StoreUnavailable:
            if redis and redis.num_ended > 0:
                raise Unavailable(f"Redis does not stay up: {redis.last_words}") from None
            if redis is None or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def own_processes(
    view: ClusterView, since: float, pids: Collection[int]
) -> dict[str, ProcessRecord]:
    """The newest of each service; a record that an earlier launcher's child left counts not."""
    found = (p for p in view.processes.values() if p.pid in pids or p.started_at > since)
    return {p.service: p for p in sorted(found, key=lambda p: p.started_at)}


def answering(view: ClusterView, since: float) -> set[str]:
    """Ids of the deployments that a replica of this start answers for."""
    return {
        replica.deployment_id
        for replica in view.replicas.values()
        if replica.phase is ReplicaPhase.READY and replica.started_at > since
    }


@dataclass
class _Told:
    """What was said of a deployment since its phase is this one."""

    phase: DeploymentPhase
    details: set[str] = field(default_factory=set)
    detail: str | None = None
    unchanged_since: float = 0.0


class Announcer:
    """Says what changes, with the seconds since the start; nothing that an earlier start left."""

    def __init__(
        self,
        store: Store,
        terminal: Terminal,
        pids: Callable[[], Collection[int]],
        public_url: str = "",
    ) -> None:
        """`public_url` is told in place of the gateway's own address, unless it is empty."""
        self._identity = Identity(store)
        self._terminal = terminal
        self._pids = pids
        self._public_url = public_url
        self._up: dict[str, str] = {}  # service → the process_id that was told to be up
        self._link_told = False
        self._told: dict[str, _Told] = {}
        self._left: dict[str, tuple[DeploymentPhase, str]] = {}
        self._agent_up_at: float | None = None
        self._reminded_at = 0.0
        self.ready = False

    async def look(self, view: ClusterView) -> None:
        since = self._terminal.started_at
        processes = own_processes(view, since, self._pids())
        up = {service: p for service, p in processes.items() if p.status == "ready"}
        for service in SERVICES:
            if service in up and self._up.get(service) != up[service].process_id:
                self._up[service] = up[service].process_id
                self._terminal.report(f"{service} is up")
        gateway = up.get("gateway")
        if gateway and not self._link_told:
            await self._tell_link(gateway)
        if "inference" not in processes:
            self._left = {i: (d.phase, d.detail) for i, d in view.deployments.items()}
            self._agent_up_at = None
        elif "inference" in up and self._agent_up_at is None:
            self._agent_up_at = self._terminal.seconds()
        ready = self._tell_deployments(view, answering(view, since))
        if ready and gateway and not self.ready and all(service in up for service in SERVICES):
            self.ready = True
            models = ", ".join(sorted(ready))
            self._terminal.say(f"\nHearth is ready: {self._url(gateway)} answers with {models}.")
            self._terminal.say("Ctrl-C stops everything.\n")

    async def _tell_link(self, gateway: ProcessRecord) -> None:
        link = await self._identity.create_sign_in_link()
        self._link_told = True
        minutes = SIGN_IN_LINK_SECONDS // 60
        for line in (
            f"\n  GUI and API  {self._url(gateway)}",
            f"  Sign in      {self._url(gateway)}/sign-in#link={link}",
            f"               works once, {minutes} minutes; `make admin-link` prints another\n",
        ):
            self._terminal.say(line)

    def _url(self, gateway: ProcessRecord) -> str:
        return self._public_url or f"http://{gateway.http_address}"

    def _tell_deployments(self, view: ClusterView, answering_ids: set[str]) -> set[str]:
        """The models that are ready."""
        ready = set()
        for deployment_id in self._told.keys() - view.deployments.keys():
            del self._told[deployment_id]
        for deployment_id, deployment in view.deployments.items():
            if deployment.phase is DeploymentPhase.READY:
                if deployment_id not in answering_ids:
                    continue  # its replica is gone, or of an earlier start
                ready.add(deployment.model)
            elif self._is_left(deployment):
                continue
            self._tell_deployment(deployment)
        return ready

    def _is_left(self, deployment: DeploymentRecord) -> bool:
        """Whether its phase was written before this start's agent ran, as far as can be known.

        The record has no time of it. It is this agent's word when it has changed since there is
        one, and when the agent had the time to change it.
        """
        if self._left.get(deployment.deployment_id) != (deployment.phase, deployment.detail):
            self._left.pop(deployment.deployment_id, None)
            return False
        up_at = self._agent_up_at
        return up_at is None or self._terminal.seconds() - up_at < _AGENT_ANSWERS_SECONDS

    def _tell_deployment(self, deployment: DeploymentRecord) -> None:
        now = self._terminal.seconds()
        told = self._told.get(deployment.deployment_id)
        if told is None or told.phase is not deployment.phase:
            told = self._told[deployment.deployment_id] = _Told(deployment.phase)
        if told.detail != deployment.detail:
            told.detail, told.unchanged_since = deployment.detail, now
        sense = re.sub(r"\d+ times in a row", "again and again", deployment.detail)
        if sense not in told.details:
            told.details.add(sense)
            line = f"{deployment.model}: {deployment.phase}. {deployment.detail}"
            self._terminal.report(line.strip())
        unchanged_seconds = now - told.unchanged_since
        if (
            deployment.phase is DeploymentPhase.STARTING
            and unchanged_seconds >= _REMINDER_SECONDS
            and now - self._reminded_at >= _REMINDER_SECONDS
        ):
            self._reminded_at = now
            hint = "" if self.ready else "; the first start takes a minute or two"
            doing = still_doing(deployment.detail)
            self._terminal.report(
                f"{deployment.model}: still {doing} ({unchanged_seconds:.0f} s){hint}"
            )


def still_doing(detail: str) -> str:
    """What a replica says it is doing, out of a deployment's detail."""
    found = re.fullmatch(r"Replica \S+ is ([^.]+)\.", detail)
    return found[1] if found else "starting"


async def run(settings: LocationSettings, public_url: str) -> int:
    terminal = Terminal()
    data_dir = settings.data_dir.resolve()
    logs = data_dir / "logs"
    environment = dict(os.environ, HEARTH_DATA_DIR=str(data_dir))
    url, redis = settings.redis_url, None
    with naming_data_dir(data_dir):
        data_volume.ensure_cluster_key(data_dir)
        logs.mkdir(exist_ok=True)
        if not url:
            command, url = redis_server.prepare(data_dir)
            redis = Child("redis", command, environment, logs, terminal.report)
    environment["HEARTH_REDIS_URL"] = url
    children = [
        Child(name, [sys.executable, "-m", f"services.{name}"], environment, logs, terminal.report)
        for name in SERVICES
    ]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    store: Store | None = None
    try:
        if redis:
            await redis.start()
        store = await connect(url, data_dir, redis)
        terminal.report("redis is up")
        for child in children:
            await child.start()
        announcer = Announcer(
            store, terminal, lambda: {c.pid for c in children if c.pid}, public_url
        )
        return await _watch(store, announcer, terminal, [*children, redis], stop)
    finally:
        terminal.say("Stopping.")
        await asyncio.gather(*(child.stop(_GRACE_SECONDS) for child in children))
        if store:
            await store.close()
        if redis:
            await redis.stop(_GRACE_SECONDS)
        terminal.say("Stopped.")


async def _watch(
    store: Store,
    announcer: Announcer,
    terminal: Terminal,
    children: list[Child | None],
    stop: asyncio.Event,
) -> int:
    """Until the user stops it (0) or a child says that it cannot run as configured (2)."""

    async def announce() -> None:
        async for view in Registry(store).watch():
            with contextlib.suppress(StoreUnavailable):
                await announcer.look(view)

    async def refused(child: Child) -> str:
        return await child.refusal

    tasks: set[asyncio.Task[object]] = {
        asyncio.create_task(announce(), name="announce"),
        asyncio.create_task(stop.wait(), name="stop"),
        *(asyncio.create_task(refused(child), name=child.name) for child in children if child),
    }
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*(end(task) for task in pending))
    for task in done:
        if task.get_name() != "stop":
            terminal.say(f"{task.get_name()} cannot run: {task.result()}")
            return 2
    return 0


def main() -> int:
    settings = load(LocationSettings)
    public_url = load(GatewaySettings).public_url
    try:
        with only_launcher(settings.data_dir.resolve()):
            return asyncio.run(run(settings, public_url))
    except HearthError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
