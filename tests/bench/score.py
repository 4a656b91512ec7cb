"""Losses of source files: through a replica's RPC, and by vLLM's prompt_logprobs driven directly.

`make bench-score` runs it: one engine with the starter model, read by turns through ScoreStream, by
Score in requests of 32 texts, and by AsyncLLM itself, which is given the tokens of the same windows
all at once. Client and replica share the engine's Python process, which costs the RPCs, not vLLM.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import DeploymentRecord, ReplicaPhase
from services.cluster.rpc import RpcServer, open_channel
from services.cluster.settings import ClusterSettings
from services.inference.engines import engine_class
from services.inference.engines.base import Engine, EngineConfig
from services.inference.engines.environment import engine_environment
from services.inference.scoring import windows
from services.inference.serving.generations import Generations
from services.inference.serving.servicer import ReplicaServicer
from services.inference.serving.state import ReplicaState

_ROOT = Path(__file__).parents[2]
_STARTER = _ROOT / "services/inference/starter"
_TEXTS_IN_REQUEST = 32

_WARM_UP_TEXTS = 8

Way = Callable[[Sequence[str]], Awaitable[Sequence[float]]]


def files(num_files: int, num_letters: int) -> list[str]:
    """The longest Python files of this repository, cut."""
    texts = [place.read_text() for place in sorted(_ROOT.glob("[st]e*s/**/*.py"))]
    return [text[:num_letters] for text in sorted(texts, key=len, reverse=True)[:num_files]]


async def directly(engine: Engine, texts: Sequence[str]) -> list[float]:
    """Mean losses by vLLM alone: by the AsyncLLM inside our engine, so that settings are equal."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    llm: Any = engine.__dict__["_llm"]
    parameters = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0)
    texts_tokens = [engine.tokenizer.encode_plain(text) for text in texts]

    async def window(name: str, token_ids: Sequence[int], counted: int) -> list[float]:
        async for output in llm.generate(tokens_input(list(token_ids)), parameters, name):
            found = output.prompt_logprobs[counted:]
            rest = token_ids[counted:]
        return [-entry[i].logprob for i, entry in zip(rest, found, strict=True)]

    started = time.monotonic_ns()
    found = await asyncio.gather(
        *(
            window(f"direct-{started}-{n}-{part.start}", ids[part.start : part.end], part.counted)
            for n, ids in enumerate(texts_tokens)
            for part in windows(len(ids), engine.context_tokens - 1)
        )
    )
    rest, means = iter(found), []
    for ids in texts_tokens:
        losses = [x for _ in windows(len(ids), engine.context_tokens - 1) for x in next(rest)]
        means.append(sum(losses) / len(losses))
    return means


async def streamed(replica: rpc.ReplicaAsyncStub, texts: Sequence[str]) -> list[float]:
    async def requests() -> AsyncIterator[pb.ScoreRequest]:
        for start in range(0, len(texts), _TEXTS_IN_REQUEST):
            yield pb.ScoreRequest(texts=texts[start : start + _TEXTS_IN_REQUEST])

    return [score.mean_loss async for a in replica.ScoreStream(requests()) for score in a.scores]


async def unary(replica: rpc.ReplicaAsyncStub, texts: Sequence[str]) -> list[float]:
    found: list[float] = []
    for start in range(0, len(texts), _TEXTS_IN_REQUEST):
        request = pb.ScoreRequest(texts=texts[start : start + _TEXTS_IN_REQUEST])
        found += [score.mean_loss for score in (await replica.Score(request)).scores]
    return found


async def measure(
    ways: dict[str, Way], texts: Sequence[str], num_rounds: int
) -> dict[str, list[float]]:
    """Seconds of each way, round by round. Raises AssertionError where their losses differ."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        await way(texts[:_WARM_UP_TEXTS])
    wanted: Sequence[float] = []
    for _ in range(num_rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            found = await way(texts)
            seconds[name].append(time.perf_counter() - started)
            wanted = wanted or found
            worst = max(abs(a - b) / b for a, b in zip(found, wanted, strict=True))
            if worst > 1e-3:
                raise AssertionError(f"{name} differs by {worst:.1e} from the first way")
    return seconds


async def bench(arguments: argparse.Namespace, data_dir: Path) -> list[str]:
    settings = ClusterSettings(data_dir=data_dir, cluster_key=SecretStr("bench"))
    engine = engine_class("vllm")(EngineConfig("starter", _STARTER, "cpu"))
    await engine.start(lambda phrase: None)
    deployment = DeploymentRecord(
        deployment_id="d", model="starter", engine="vllm", created_at=0, updated_at=0
    )
    state = ReplicaState("r", deployment, "here", os.getpid(), ("cpu",))
    state.engine, state.generations = engine, Generations(engine, 100)
    server = RpcServer(settings)
    server.add("hearth.v1.Replica", rpc.add_ReplicaServicer_to_server, ReplicaServicer(state))
    address = await server.start()
    state.set(ReplicaPhase.READY)
    texts = files(arguments.files, arguments.letters)
    num_tokens = sum(len(engine.tokenizer.encode_plain(text)) for text in texts)
    async with open_channel(address, settings) as channel:
        replica: rpc.ReplicaAsyncStub = rpc.ReplicaStub(channel)
        seconds = await measure(
            {
                "vLLM directly": partial(directly, engine),
                "ScoreStream": partial(streamed, replica),
                "Score": partial(unary, replica),
            },
            texts,
            arguments.rounds,
        )
    await server.stop(0)
    await engine.close()
    direct = seconds["vLLM directly"]
    lines = [f"{len(texts)} files, {num_tokens} tokens, {arguments.rounds} rounds"]
    for name, mine in seconds.items():
        ratios = [a / b for a, b in zip(mine, direct, strict=True)]
        lines.append(
            f"{name:14s} median {statistics.median(mine):6.2f} s,"
            f" ratio {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--letters", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ.update(engine_environment("cpu", (), num_threads=1))
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        for text in asyncio.run(bench(arguments, Path(folder))):
            print(text)  # noqa: T201


if __name__ == "__main__":
    main()
