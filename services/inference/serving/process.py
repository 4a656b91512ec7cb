"""The process of one replica: starts its engine, says so, serves, and ends with its engine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
from typing import NoReturn

import uvloop
from prometheus_client import REGISTRY

from services.cluster import log as cluster_log
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, EngineUnavailable, HearthError, NotFound
from services.cluster.guard import die_with_parent
from services.cluster.metrics import serve_metrics
from services.cluster.pb.v1 import process_pb2_grpc, replica_pb2_grpc
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.process_servicer import ProcessServicer
from services.cluster.records import ProcessRecord, ReplicaPhase
from services.cluster.registry import ClusterView, Registry
from services.cluster.registry_cache import Heartbeat, RegistryCache
from services.cluster.rpc import RpcServer
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.cluster.tasks import end
from services.inference.engines import engine_class
from services.inference.engines.base import Engine, EngineConfig
from services.inference.engines.environment import VISIBLE_DEVICES
from services.inference.serving.adapters import RETRY_SECONDS, ReplicaAdapters
from services.inference.serving.arguments import Arguments, engine_config, parse
from services.inference.serving.generations import Generations
from services.inference.serving.metrics import EngineFigures
from services.inference.serving.servicer import ReplicaServicer
from services.inference.serving.state import ReplicaState
from services.inference.settings import InferenceSettings

log = logging.getLogger(__name__)

CANNOT_WORK = 2  # exit status when what is wanted can not be run: a new try would end the same
ENGINE_FAILED = 3  # exit status when the engine died or could not start
_ENGINE_DEATH_GRACE_SECONDS = 1.0
_FIRST_PROMPT = "a b"


class Replica:
    def __init__(self, arguments: Arguments, settings: InferenceSettings) -> None:
        self._arguments = arguments
        self._settings = settings
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        """The exit status: 0 after SIGTERM, ENGINE_FAILED when the engine died or did not start.

        SIGUSR1 ends it too, but gives its requests all the time of `retire_seconds`.

        Raises NotFound and BadRequest for what can never work, StoreUnavailable without Redis.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._stop.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        store = await Store.connect(self._settings.redis_url)
        registry = Registry(store)
        cache = RegistryCache(registry)
        await cache.start()
        try:
            return await self._serve(registry, cache)
        finally:
            await cache.close()
            await store.close()

    def _end(self) -> None:
        self._hurry.set()
        self._stop.set()

    async def _serve(self, registry: Registry, cache: RegistryCache) -> int:
        arguments, settings = self._arguments, self._settings
        deployment, config = engine_config(arguments, settings, cache.view)
        state = ReplicaState(
            arguments.replica_id, deployment, settings.host_id, os.getpid(), arguments.device_ids
        )
        state.detail = "importing the engine"
        server = RpcServer(settings)
        servicer = ReplicaServicer(state)
        server.add("hearth.v1.Replica", replica_pb2_grpc.add_ReplicaServicer_to_server, servicer)
        server.add(
            "hearth.v1.Process",
            process_pb2_grpc.add_ProcessServicer_to_server,
            ProcessServicer(_process_record(state), settings, log_name(arguments.replica_id)),
        )
        state.address = await server.start()
        await server.set_serving(False)
        REGISTRY.register(EngineFigures(deployment.deployment_id, lambda: state.engine))
        state.metrics_address = serve_metrics(settings.bind_host, settings.advertise_host)
        async with (
            Heartbeat(lambda: registry.put_replica(state.record())) as heartbeat,
            asyncio.TaskGroup() as tasks,
        ):
            following = tasks.create_task(state.follow(heartbeat.beat))
            try:
                return await self._live(state, config, cache, server, servicer, tasks)
            finally:
                following.cancel()
                with contextlib.suppress(HearthError):
                    await registry.put_replica(state.record())
                await server.stop(_ENGINE_DEATH_GRACE_SECONDS)
                if state.engine:
                    await state.engine.close()

    async def _live(
        self,
        state: ReplicaState,
        config: EngineConfig,
        cache: RegistryCache,
        server: RpcServer,
        servicer: ReplicaServicer,
        tasks: asyncio.TaskGroup,
    ) -> int:
        stopping = tasks.create_task(self._stop.wait())
        starting = tasks.create_task(self._start_engine(state, config))
        await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 0
        problem = starting.result()
        engine = state.engine
        if problem or engine is None:
            stopping.cancel()
            state.set(ReplicaPhase.FAILED, problem)
            log.error("engine cannot start", extra={"reason": problem})
            return ENGINE_FAILED
        servicer.adapters = ReplicaAdapters(
            engine, ArtifactStore(self._settings.data_dir), state.changed.set
        )
        state.adapter_problems = servicer.adapters.problems
        await servicer.adapters.reconcile(self._wanted(cache.view))
        state.set(ReplicaPhase.READY)
        await server.set_serving(True)
        log.info("replica ready", extra={"replica_id": state.replica_id, "address": state.address})
        reconciling = tasks.create_task(self._reconcile(state, servicer.adapters, cache))
        dying = tasks.create_task(engine.wait_errored())
        await asyncio.wait({stopping, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reconciling, stopping):
            task.cancel()
        await server.set_serving(False)
        await servicer.adapters.close()
        if dying.done():
            state.set(ReplicaPhase.FAILED, dying.result())
            log.error("engine died", extra={"replica_id": state.replica_id})
            return ENGINE_FAILED
        dying.cancel()
        state.set(ReplicaPhase.DRAINING, "finishing its requests")
        if state.generations:
            num_aborted = await self._drain(state.generations)
            log.info("replica drained", extra={"num_aborted": num_aborted})
        return 0

    async def _drain(self, generations: Generations) -> int:
        """How many requests had to be aborted."""
        draining = asyncio.create_task(generations.drain(self._settings.retire_seconds))
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        await end(hurrying)
        if draining.done():
            return draining.result()
        await end(draining)
        return await generations.drain(self._settings.drain_seconds)

    async def _start_engine(self, state: ReplicaState, config: EngineConfig) -> str:
        """ "" when the engine answered a first generation, else what went wrong."""
        loop = asyncio.get_running_loop()

        def report(phrase: str) -> None:
            loop.call_soon_threadsafe(state.set, ReplicaPhase.STARTING, phrase)

        try:
            kind = await asyncio.to_thread(engine_class, state.deployment.engine)
            engine = kind(config)
            state.set(ReplicaPhase.STARTING, "starting the engine")
            await engine.start(report)
            state.engine = engine
            limit = config.max_running + self._settings.max_waiting_requests
            state.generations = Generations(engine, limit)
            state.set(ReplicaPhase.WARMING, "answering a first request")
            await warm_up(engine, state.generations)
            _keep_heap()
        except HearthError as error:
            return error.message
        except Exception as error:  # the boundary of the engine's start
            log.exception("engine cannot start")
            return f"The engine cannot start: {type(error).__name__}: {error}"
        return ""

    async def _reconcile(
        self, state: ReplicaState, adapters: ReplicaAdapters, cache: RegistryCache
    ) -> None:
        while True:
            view = cache.view
            if state.phase is ReplicaPhase.READY:  # an engine that sleeps loads nothing
                await adapters.reconcile(self._wanted(view))
            if cache.view is view:  # else it changed meanwhile
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(cache.changed(), RETRY_SECONDS)

    def _wanted(self, view: ClusterView) -> tuple[str, ...]:
        """The deployment's own, as long as they are known; a deleted deployment keeps nothing."""
        deployment = view.deployments.get(self._arguments.deployment_id)
        return deployment.adapter_ids if deployment else ()


async def warm_up(engine: Engine, generations: Generations) -> None:
    """Raises EngineUnavailable unless the engine answers.

    With log-probabilities of several tokens, which an engine else compiles at the first request
    for them, while all others wait.
    """
    if engine.config.embeds:
        await engine.embed(["a"])
        return
    request = pb.GenerateRequest(
        prompt=pb.Prompt(text=_FIRST_PROMPT),
        sampling=pb.SamplingParameters(
            max_tokens=1, temperature=0, num_logprobs=1, prompt_logprobs=True
        ),
    )
    finished = [r async for r in generations.run(request) if r.HasField("finish")]
    if not finished:
        raise EngineUnavailable("The engine did not answer its first request.")


def _keep_heap() -> None:
    """What is there when the engine has started stays: nobody looks for garbage in it again.

    With vLLM that is 640,000 objects, and each time all streams would stand still for 0.4 s.
    """
    gc.collect()
    gc.freeze()


def _process_record(state: ReplicaState) -> ProcessRecord:
    return ProcessRecord(
        process_id=f"{state.replica_id}-{state.pid}",
        service="replica",
        host_id=state.host_id,
        pid=state.pid,
        started_at=state.started_at,
    )


def log_name(replica_id: str) -> str:
    return f"replica-{replica_id}"


async def _run_and_exit(replica: Replica) -> NoReturn:
    """Leaves without taking Python apart.

    That takes torch and vLLM up to 9 s, in which nobody serves; and it waits for the thread that
    imports vLLM or starts its processes, which nothing can interrupt. The processes of vLLM go with
    this one (`guard`).
    """
    try:
        status = await replica.run()
    except HearthError as error:
        log.error("replica cannot run", extra={"reason": error.message})
        status = CANNOT_WORK if isinstance(error, BadRequest | NotFound) else ENGINE_FAILED
    except Exception:  # the process's boundary
        log.exception("replica failed")
        status = ENGINE_FAILED
    logging.shutdown()
    os._exit(status)


def main() -> NoReturn:
    arguments = parse()
    if arguments.agent_pid:
        die_with_parent(arguments.agent_pid)
    settings = load(InferenceSettings)
    cluster_log.configure(log_name(arguments.replica_id), settings)
    visible = os.environ.get(VISIBLE_DEVICES, "")
    log.info("replica begins", extra={"replica_id": arguments.replica_id, VISIBLE_DEVICES: visible})
    uvloop.run(_run_and_exit(Replica(arguments, settings)))
