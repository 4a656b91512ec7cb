"""What Hearth adds to vLLM: our RPCs beside the same AsyncLLM without them, and transformers.

`make bench-inference` starts, for each model, a replica and an AsyncLLM with the same arguments in
a process of its own (`direct_engine.py`), which answers over a unix socket; this process asks both.
They are never busy at the same time. Rounds are interleaved and their order turns, so that a slow
moment of the machine meets both, and each figure is a median of ratios within a round. Prompts are
pieces of Python's library that were not asked before: no prefix is cached.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import uvloop
from pydantic import SecretStr

from services.cluster import redis_server
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.registry import Registry
from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.bench.engine_callers import Burst, Caller, DirectCaller, GenerateCaller, SessionCaller
from tests.bench.engine_processes import Transformers, engines, finished
from tests.bench.paired import Median
from tests.bench.prompts import STARTER, Prompts, prompts

_NUM_ROUNDS = {"starter": 12, "random-50m": 4}  # of a few seconds, of minutes
_MAX_TOKENS = 64
_NUM_REQUESTS = {1: 4, 8: 16, 32: 32}  # of a burst, by how many are asked at the same time
_LEAST_RATIO = {1: 0.95, 8: 0.95, 32: 0.9}
_MOST_ADDED_SECONDS = 0.003
_LEAST_TRANSFORMERS_RATIO = 2.5
_WITH_TRANSFORMERS = 8


@dataclass(frozen=True)
class Pair:
    """The same prompts, asked of both, one directly after the other."""

    ours: Burst
    other: Burst

    @property
    def ratio(self) -> float:
        return self.ours.tokens_per_second / self.other.tokens_per_second

    @property
    def num_equal(self) -> int:
        both = zip(self.ours.answers, self.other.answers, strict=True)
        return sum(ours.token_ids == other.token_ids for ours, other in both)

    @property
    def added_first_seconds(self) -> list[float]:
        both = zip(self.ours.answers, self.other.answers, strict=True)
        return [ours.first_seconds - other.first_seconds for ours, other in both]


@dataclass
class Measured:
    """Pairs with the direct engine by (way to ask, how many at the same time)."""

    direct: dict[tuple[str, int], list[Pair]] = field(default_factory=lambda: defaultdict(list))
    transformers: list[Pair] = field(default_factory=list)

    def clear(self) -> None:
        self.direct.clear()
        self.transformers.clear()


async def measure_pair(
    ours: Caller, direct: Caller, num_concurrent: int, ours_first: bool, fresh: Prompts
) -> Pair:
    asked = list(islice(fresh, _NUM_REQUESTS[num_concurrent]))
    callers = [ours, direct] if ours_first else [direct, ours]
    bursts = {caller: await caller.burst(asked, num_concurrent) for caller in callers}
    return Pair(bursts[ours], bursts[direct])


async def measure_transformers(
    ours: Caller, transformers: Transformers, ours_first: bool, fresh: Prompts
) -> Pair:
    asked = list(islice(fresh, _WITH_TRANSFORMERS))
    if ours_first:
        return Pair(await ours.burst(asked, _WITH_TRANSFORMERS), await transformers.burst(asked))
    other = await transformers.burst(asked)
    return Pair(await ours.burst(asked, _WITH_TRANSFORMERS), other)


async def measure(
    ways: dict[str, Caller],
    direct: Caller,
    transformers: Transformers,
    measured: Measured,
    num_rounds: int,
    options: argparse.Namespace,
) -> None:
    fresh = prompts()
    for number in range(-1, num_rounds):
        if number == 0:
            measured.clear()  # the first one warms all of them
        ours_first = number % 2 == 0
        for num_concurrent in options.concurrent:
            for way in ways if ours_first else reversed(ways):
                pair = await measure_pair(ways[way], direct, num_concurrent, ours_first, fresh)
                measured.direct[way, num_concurrent].append(pair)
        if number < options.transformers_rounds:
            pair = await measure_transformers(ways["Generate"], transformers, ours_first, fresh)
            measured.transformers.append(pair)


async def bench(
    model: str, folder: Path, url: str, measured: Measured, options: argparse.Namespace
) -> None:
    settings = ClusterSettings(
        data_dir=folder, redis_url=url, cluster_key=SecretStr("bench"), bind_host="127.0.0.1"
    )
    model_folder = STARTER
    if model != "starter":
        (model_folder := folder / model).mkdir()
        await finished("tests.bench.random_model", (str(model_folder),), folder / "model.log")
    store = await Store.connect(url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        both = await stack.enter_async_context(
            engines(model, model_folder, _MAX_TOKENS, settings, Registry(store))
        )
        transformers = await stack.enter_async_context(
            Transformers.started(model_folder, _MAX_TOKENS, folder)
        )
        channel = await stack.enter_async_context(open_channel(both.address, settings))
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(channel)
        session = SessionCaller(stub, _MAX_TOKENS, both.replica_pid)
        stack.push_async_callback(session.close)
        direct = await DirectCaller.connect(both.socket, both.direct_pid)
        stack.callback(direct.close)
        say(f"{model}: engines are ready")
        ways: dict[str, Caller] = {
            "Generate": GenerateCaller(stub, _MAX_TOKENS, both.replica_pid),
            "Session": session,
        }
        num_rounds = options.rounds or _NUM_ROUNDS[model]
        await measure(ways, direct, transformers, measured, num_rounds, options)


def results(model: str, measured: Measured) -> list[str]:
    """The lines to print: throughput, equal answers, and whether each target is met.

    "front" is processor time for a token in the process that was asked, ours and the other, without
    the engine's own process; of transformers there is none.
    """
    lines = [
        f"{model:18}{'at once':>8}{'tokens/s':>10}{'other':>8}{'front, µs':>11}{'other':>7}"
        "   ratio [95 %]           answers equal"
    ]
    for (way, num_concurrent), pairs in measured.direct.items():
        wanted = _LEAST_RATIO[num_concurrent]
        lines.append(_throughput(f"{way} / direct", num_concurrent, pairs, wanted))
    if pairs := measured.transformers:
        name, wanted = "/ transformers", _LEAST_TRANSFORMERS_RATIO
        lines.append(_throughput(name, _WITH_TRANSFORMERS, pairs, wanted))
    for (way, num_concurrent), pairs in measured.direct.items():
        if num_concurrent == 1:
            lines.append(_first_token(way, pairs))
    all_pairs = [pair for pairs in measured.direct.values() for pair in pairs]
    num_answers = sum(len(pair.ours.answers) for pair in all_pairs)
    num_equal = sum(pair.num_equal for pair in all_pairs)
    lines.append(
        f"token ids of {num_equal} of {num_answers} answers equal the direct engine's: "
        + met(num_equal == num_answers)
    )
    return lines


def _throughput(name: str, num_concurrent: int, pairs: Sequence[Pair], wanted: float) -> str:
    sides = [pair.ours for pair in pairs], [pair.other for pair in pairs]
    ours, other = (statistics.median(b.tokens_per_second for b in bursts) for bursts in sides)
    front, other_front = (
        1e6 * sum(b.front_seconds for b in bursts) / sum(b.num_tokens for b in bursts)
        for bursts in sides
    )
    ratio = Median.of([pair.ratio for pair in pairs])
    num_equal = sum(pair.num_equal for pair in pairs)
    num_answers = sum(len(pair.ours.answers) for pair in pairs)
    return (
        f"{name:18}{num_concurrent:8}{ours:10.0f}{other:8.0f}{front:11.0f}{other_front:7.0f}"
        f"   {ratio.text(3):22}{num_equal:5} of {num_answers:<5}"
        f" wanted {wanted}: {met(ratio.value >= wanted)}"
    )


def _first_token(way: str, pairs: Sequence[Pair]) -> str:
    added = Median.of([1000 * seconds for pair in pairs for seconds in pair.added_first_seconds])
    ours, other = (
        1000
        * statistics.median(answer.first_seconds for burst in bursts for answer in burst.answers)
        for bursts in ([pair.ours for pair in pairs], [pair.other for pair in pairs])
    )
    wanted = 1000 * _MOST_ADDED_SECONDS
    return (
        f"first token, {way}: {ours:.1f} ms, direct {other:.1f}; added {added.text()};"
        f" wanted {wanted:.0f}: {met(added.value <= wanted)}"
    )


def met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


async def run(options: argparse.Namespace) -> None:
    """What was measured is also printed when somebody has seen enough (Ctrl-C)."""
    for model in options.models:
        measured = Measured()
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                redis_server.running(Path(folder)) as url,
            ):
                await bench(model, Path(folder), url, measured, options)
        finally:
            if measured.direct:
                for line in results(model, measured):
                    say(line)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inference", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=_NUM_ROUNDS, default=list(_NUM_ROUNDS))
    parser.add_argument("--rounds", type=int, help="of each model; 12 and 4")
    parser.add_argument("--transformers-rounds", type=int, default=4)
    parser.add_argument("--concurrent", nargs="+", type=int, default=tuple(_NUM_REQUESTS))
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
