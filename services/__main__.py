"""The whole cluster of one host as one process tree: `python -m services`, or `make run`.

Starts Redis unless HEARTH_REDIS_URL names one, then a process for each service, and starts again
what ends. Says ready when every process said so and a model answers. Ctrl-C ends all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.child import Child
from services.cluster import redis_server
from services.cluster.errors import HearthError, StoreUnavailable, Unavailable
from services.cluster.identity import SIGN_IN_LINK_SECONDS, Identity
from services.cluster.records import DeploymentPhase
from services.cluster.registry import ClusterView, Registry
from services.cluster.settings import ENV_PREFIX, load
from services.cluster.store import Store
from services.cluster.tasks import end

SERVICES = ("inference", "datascan", "finetune", "gateway", "webui")
_REDIS_START_SECONDS = 120  # a long append-only file is read back first
_GRACE_SECONDS = 20


class LauncherSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)

    redis_url: str = Field("", description="Where Redis listens; empty: start one.")
    data_dir: Path = Field(Path("data"), description="The data volume.")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 the launcher talks to a person at a terminal


@contextlib.contextmanager
def only_launcher(data_dir: Path) -> Iterator[None]:
    """Raises Unavailable when another launcher runs on the same data volume."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "launcher.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"Hearth runs already on {data_dir}. Stop it with Ctrl-C first, or set"
                " HEARTH_DATA_DIR and HEARTH_PORT to run a second one."
            ) from None
        yield


def ensure_cluster_key(data_dir: Path) -> None:
    place = data_dir / "cluster.key"
    if not place.exists():
        temporary = place.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_urlsafe(32) + "\n")
        temporary.rename(place)


async def connect(url: str, redis: Child | None) -> Store:
    """The store, as soon as Redis has read its files. Raises StoreUnavailable."""
    deadline = time.monotonic() + _REDIS_START_SECONDS
    while True:
        try:
            return await Store.connect(url)
        except StoreUnavailable:
            ended = redis is not None and redis.num_ended > 0
            if redis is None or ended or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


class Announcer:
    """Says each thing once, with the seconds since the start."""

    def __init__(self, store: Store, started_at: float) -> None:
        self._identity = Identity(store)
        self._started_at = started_at
        self._said: set[str] = set()
        self.ready = False

    async def look(self, view: ClusterView) -> None:
        processes = {record.service: record for record in view.processes.values()}
        for service in SERVICES:
            record = processes.get(service)
            if record and record.status == "ready":
                self._once(f"{service} is up")
        gateway = processes.get("gateway")
        if gateway and gateway.status == "ready" and "link" not in self._said:
            self._said.add("link")
            link = await self._identity.create_sign_in_link()
            minutes = SIGN_IN_LINK_SECONDS // 60
            say(f"\n  GUI and API  http://{gateway.http_address}")
            say(f"  Sign in      http://{gateway.http_address}/sign-in#link={link}")
            say(f"               works once, {minutes} minutes; `make admin-link` prints another\n")
        for deployment in view.deployments.values():
            self._once(f"{deployment.model}: {deployment.phase}. {deployment.detail}".strip())
        ready = [d for d in view.deployments.values() if d.phase is DeploymentPhase.READY]
        all_up = all(s in processes and processes[s].status == "ready" for s in SERVICES)
        if ready and all_up and gateway and not self.ready:
            self.ready = True
            models = ", ".join(sorted({deployment.model for deployment in ready}))
            say(f"\nHearth is ready: http://{gateway.http_address} answers with {models}.")
            say("Ctrl-C stops everything.\n")

    def _once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            say(f"[{time.monotonic() - self._started_at:6.1f} s] {line}")


async def run(settings: LauncherSettings) -> int:
    started_at = time.monotonic()
    data_dir = settings.data_dir.resolve()
    ensure_cluster_key(data_dir)
    (data_dir / "logs").mkdir(exist_ok=True)
    environment = dict(os.environ, HEARTH_DATA_DIR=str(data_dir))
    url, redis = settings.redis_url, None
    if not url:
        command, url = redis_server.prepare(data_dir)
        redis = Child("redis", command, environment, data_dir / "logs")
    environment["HEARTH_REDIS_URL"] = url
    children = [
        Child(name, [sys.executable, "-m", f"services.{name}"], environment, data_dir / "logs")
        for name in SERVICES
    ]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    store: Store | None = None
    try:
        if redis:
            await redis.start()
        store = await connect(url, redis)
        say(f"[{time.monotonic() - started_at:6.1f} s] redis is up")
        for child in children:
            await child.start()
        return await _watch(store, Announcer(store, started_at), [*children, redis], stop)
    finally:
        say("Stopping.")
        await asyncio.gather(*(child.stop(_GRACE_SECONDS) for child in children))
        if store:
            await store.close()
        if redis:
            await redis.stop(_GRACE_SECONDS)
        say("Stopped.")


async def _watch(
    store: Store, announcer: Announcer, children: list[Child | None], stop: asyncio.Event
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
            say(f"{task.get_name()} cannot run: {task.result()}")
            return 2
    return 0


def main() -> int:
    settings = load(LauncherSettings)
    try:
        with only_launcher(settings.data_dir.resolve()):
            return asyncio.run(run(settings))
    except HearthError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
