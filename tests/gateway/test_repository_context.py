"""Files of a repository beside a cursor: asked of a source within limits, never waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.repository_context import Asker, RepositoryFile, RepositoryFiles
from services.inference.engines.echo_engine import EchoEngine
from tests.gateway.conftest import (
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)
from tests.gateway.test_disconnects import until

CURSOR = {"prompt": "def area(", "suffix": "):", "max_tokens": 4}
PLAIN = "<|fim_prefix|>def area(<|fim_suffix|>):<|fim_middle|>"
FILES = RepositoryFiles((RepositoryFile("a.py", "A = 1\n"),), "shapes", "circle.py")
# The double has no such tokens: others stand for them.
NAME, FILE = "<|im_start|>", "<|im_end|>"
SHOWN = f"{NAME}shapes\n{FILE}a.py\nA = 1\n{FILE}circle.py\n{PLAIN}"


class RepositoryEngine(EchoEngine):
    """Its tokenizer has what the family writes files with."""

    async def start(self, report: Callable[[str], None]) -> None:
        await super().start(report)
        own = self.tokenizer.special_tokens
        more = {"<|repo_name|>": own[NAME], "<|file_sep|>": own[FILE]}
        self.tokenizer.special_tokens = {**own, **more}


@dataclass
class Source:
    """Gives `found`, or raises it. While it is `held` it neither answers nor ends."""

    found: RepositoryFiles | Exception = FILES
    held: bool = False
    asked: list[tuple[str, str, str, int]] = field(default_factory=list)

    async def files(
        self, caller: Asker, prefix: str, suffix: str, num_tokens: int
    ) -> RepositoryFiles:
        self.asked.append((caller.team_id, prefix, suffix, num_tokens))
        while self.held:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@dataclass
class Scene:
    gateway: Gateway
    replica: EchoReplica
    source: Source = field(default_factory=Source)

    async def prompt(self, body: dict[str, object], path: str = "/v1/completions") -> str:
        """What the engine read for this request."""
        async with self.gateway.client() as client:
            answer = await client.post(path, json=body)
            assert answer.status_code == 200, answer.text
        engine = self.replica.engine
        return engine.tokenizer.decode(list(engine.requests[-1].prompt_token_ids))


@pytest_asyncio.fixture
async def scene(store: Store, settings: ClusterSettings, tmp_path: Path) -> AsyncIterator[Scene]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", tmp_path, RepositoryEngine) as replica,
        serving(gateway_settings(settings), store) as gateway,
    ):
        scene = Scene(gateway, replica)
        gateway.state.repository_context = scene.source
        yield scene
        scene.source.held = False


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("hearth_repository_context_total", {"outcome": outcome}) or 0


async def test_what_the_source_gives_is_in_the_prompt(scene: Scene) -> None:
    before = counted("given")
    assert await scene.prompt(CURSOR) == SHOWN
    (asked,) = scene.source.asked
    assert asked[:3] == ("default", "def area(", "):")
    assert 0 < asked[3] < 4096 / 2
    assert counted("given") == before + 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/fim/completions", CURSOR),
        ("/v1/completions", {"segments": {"prefix": "def area(", "suffix": "):"}}),
    ],
    ids=["mistral", "tabby"],
)
async def test_every_dialect_with_a_cursor_has_it(
    scene: Scene, path: str, body: dict[str, object]
) -> None:
    assert await scene.prompt(body, path) == SHOWN


async def test_several_answers_ask_once(scene: Scene) -> None:
    await scene.prompt({**CURSOR, "n": 3})
    assert len(scene.source.asked) == 1
    engine = scene.replica.engine
    prompts = {engine.tokenizer.decode(list(r.prompt_token_ids)) for r in engine.requests}
    assert prompts == {SHOWN}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "def area("}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ("/v1/completions", {**CURSOR, "max_tokens": 4000, "stop": ["d"]}),
        ("/v1/completions", {**CURSOR, "prompt": "x" * 12_000}),
    ],
    ids=["text", "chat", "long answer", "long prefix"],
)
async def test_who_has_no_cursor_or_no_room_is_not_asked(
    scene: Scene, path: str, body: dict[str, object]
) -> None:
    await scene.prompt({"max_tokens": 4, **body}, path)
    assert scene.source.asked == []


@pytest.mark.parametrize("without", [None, RepositoryFiles()], ids=["no source", "no files"])
async def test_without_files_the_prompt_is_the_clients(
    scene: Scene, without: RepositoryFiles | None
) -> None:
    if without is None:
        scene.gateway.state.repository_context = None
    else:
        scene.source.found = without
    assert await scene.prompt(CURSOR) == PLAIN


async def test_a_late_source_is_left_alone(scene: Scene) -> None:
    """Its cancellation is not waited for either; what it says at last goes nowhere."""
    before = counted("late")
    scene.source.held = True
    assert await scene.prompt(CURSOR) == PLAIN
    assert counted("late") == before + 1
    scene.source.held = False
    assert await scene.prompt(CURSOR) == SHOWN


@pytest.mark.parametrize("late", [False, True])
async def test_a_failing_source_costs_a_line_in_the_log(
    scene: Scene, caplog: pytest.LogCaptureFixture, late: bool
) -> None:
    before = counted("failed")
    scene.source.found, scene.source.held = RuntimeError("the index is broken"), late
    with caplog.at_level(logging.WARNING):
        assert await scene.prompt(CURSOR) == PLAIN
        scene.source.held = False
        await until(lambda: "the index is broken" in caplog.text)
    assert counted("failed") == before + (not late)


async def test_more_than_was_asked_for_is_not_sent_on(scene: Scene) -> None:
    huge = RepositoryFile("huge.py", "x" * 5_000_000)
    scene.source.found = RepositoryFiles((huge, *FILES.files), "shapes", "circle.py")
    assert await scene.prompt(CURSOR) == SHOWN
