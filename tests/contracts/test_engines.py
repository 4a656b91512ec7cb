"""What every engine promises, asked of each: the echo double, and vLLM on a tiny model."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from services.cluster.errors import (
    AdapterNotLoaded,
    BadRequest,
    EngineUnavailable,
    Overloaded,
    Unimplemented,
)
from services.inference.engines.generation import FinishReason
from tests.contracts import engines
from tests.contracts.engine_forms import HeldForms
from tests.contracts.engines import CONTEXT_TOKENS, MAX_ADAPTERS, PROMPT, VLLM, Subject

LONG = 400  # tokens: some tenths of a second


@pytest.fixture(scope="module", params=["echo", VLLM])
async def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Subject]:
    """One engine for all tests of this module: vLLM takes most of a minute to start."""
    make = {"echo": engines.echo, "vllm": engines.vllm}[request.param]
    async with make(tmp_path_factory.mktemp(request.param)) as subject:
        yield subject


@pytest.fixture
async def adapter_id(subject: Subject) -> AsyncIterator[str]:
    await subject.engine.load_adapter("a0", subject.adapter_folders[0])
    yield "a0"
    if "a0" in subject.engine.adapters.loaded:
        await subject.engine.unload_adapter("a0")


def cut(text: str, stops: Sequence[str]) -> tuple[str, str]:
    """What is left of a text, and the stop string: the first complete one, of two the longer."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    raise AssertionError(f"none of {stops} in {text!r}")


class TestEngine(HeldForms):
    async def test_greedy_says_the_same_again(self, subject: Subject) -> None:
        first, second = await subject.say(), await subject.say()
        assert first.token_ids == second.token_ids
        assert first.text == second.text == subject.engine.tokenizer.decode(first.token_ids)

    async def test_max_tokens_end_with_length(self, subject: Subject) -> None:
        answer = await subject.say(max_tokens=7)
        assert len(answer.token_ids) == 7
        assert answer.finish.reason is FinishReason.LENGTH
        assert answer.finish.num_generated_tokens == 7
        assert answer.finish.num_prompt_tokens == len(subject.ids(PROMPT))

    async def test_the_whole_context_can_be_used(self, subject: Subject) -> None:
        prompt = (subject.ids(PROMPT) * CONTEXT_TOKENS)[: CONTEXT_TOKENS - 1]
        answer = await subject.say(prompt, max_tokens=1)
        assert answer.finish.num_prompt_tokens == CONTEXT_TOKENS - 1
        assert len(answer.token_ids) == 1

    @pytest.mark.parametrize("seed", [7, 2**63 - 1, -1, -(2**63)])
    async def test_a_seed_repeats(self, subject: Subject, seed: int) -> None:
        first = await subject.say(temperature=1.0, seed=seed)
        assert (await subject.say(temperature=1.0, seed=seed)).token_ids == first.token_ids

    async def test_seeds_differ(self, subject: Subject) -> None:
        answers = [await subject.say(temperature=1.0, seed=seed) for seed in range(5)]
        assert len({answer.text for answer in answers}) > 1

    async def test_the_text_ends_before_a_stop_string(self, subject: Subject) -> None:
        text = (await subject.say()).text
        for stops in ([text[9:12]], [text[6]], [text[6], text[5:7]], ["\n\n\n", text[8:10]]):
            answer = await subject.say(stop=stops)
            assert (answer.text, answer.finish.stop_string) == cut(text, stops)
            assert answer.finish.reason is FinishReason.STOP

    async def test_what_looks_like_a_stop_string_is_said_in_the_end(self, subject: Subject) -> None:
        text = (await subject.say()).text
        answer = await subject.say(stop=[text[-3:] + "\n"])
        assert answer.text == text
        assert answer.finish.reason is FinishReason.LENGTH

    async def test_a_stop_token_ends_and_is_not_said(self, subject: Subject) -> None:
        whole = await subject.say()
        stop = whole.token_ids[5]
        answer = await subject.say(stop_token_ids=[stop])
        said = whole.token_ids[: whole.token_ids.index(stop)]
        assert answer.token_ids == [*said, stop]
        assert answer.text == subject.engine.tokenizer.decode(said)
        assert answer.finish.reason is FinishReason.STOP
        assert answer.finish.stop_string == ""

    async def test_logit_bias_forces_and_forbids(self, subject: Subject) -> None:
        [wanted] = subject.ids("~")
        assert set((await subject.say(logit_bias={wanted: 100})).token_ids) == {wanted}
        first = (await subject.say()).token_ids[0]
        assert first not in (await subject.say(logit_bias={first: -100})).token_ids

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    async def test_min_tokens_min_p_and_repetition_penalty_count(self, subject: Subject) -> None:
        whole = await subject.say()
        stop = whole.token_ids[3]
        early = await subject.say(stop_token_ids=[stop])
        late = await subject.say(stop_token_ids=[stop], min_tokens=20)
        assert len(early.token_ids) < 20 <= len(late.token_ids)
        assert (await subject.say(temperature=1.0, min_p=1.0)).text == whole.text
        varied = await subject.say(repetition_penalty=2.0)
        assert len(set(varied.token_ids)) > len(set(whole.token_ids))

    @pytest.mark.parametrize("num_logprobs", [0, 3])
    async def test_each_token_has_its_logprob(self, subject: Subject, num_logprobs: int) -> None:
        answer = await subject.say(num_logprobs=num_logprobs)
        assert [p.chosen.token_id for p in answer.logprobs] == answer.token_ids
        for position in answer.logprobs:
            assert position.chosen.logprob is not None
            assert position.chosen.rank == 1  # it is greedy
            assert len(position.top) == num_logprobs
            values = [token.logprob for token in position.top if token.logprob is not None]
            assert values == sorted(values, reverse=True)
            assert sum(math.exp(value) for value in values) < 1.001
        assert (await subject.say()).logprobs == []

    async def test_the_prompt_has_logprobs_in_the_first_delta(self, subject: Subject) -> None:
        answer = await subject.say(prompt_logprobs=True, max_tokens=3)
        first, *rest = answer.deltas
        ids = [position.chosen.token_id for position in first.prompt_logprobs]
        assert ids == subject.ids(PROMPT)
        texts = [position.chosen.text for position in first.prompt_logprobs]
        assert "".join(texts) == PROMPT
        unpredicted, *others = [position.chosen.logprob for position in first.prompt_logprobs]
        assert unpredicted is None
        assert all(value is not None and value < 0 for value in others)
        assert not any(delta.prompt_logprobs for delta in rest)

    async def test_score_is_the_mean_of_the_prompts_losses(self, subject: Subject) -> None:
        answer = await subject.say(prompt_logprobs=True, max_tokens=1)
        values = [p.chosen.logprob for p in answer.deltas[0].prompt_logprobs[1:]]
        score = await subject.engine.score(subject.ids(PROMPT))
        assert score.num_scored_tokens == len(values)
        assert score.mean_loss == pytest.approx(-sum(v or 0 for v in values) / len(values))

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    async def test_losses_are_those_of_transformers(self, subject: Subject) -> None:
        texts = (PROMPT, Path(__file__).read_text()[: CONTEXT_TOKENS - 1], "é\n\t" * 50)
        scores = await asyncio.gather(*(subject.engine.score(subject.ids(t)) for t in texts))
        folder = subject.engine.config.model_folder
        for text, score in zip(texts, scores, strict=True):
            ids = subject.ids(text)
            wanted = await asyncio.to_thread(engines.reference_loss, folder, ids)
            assert score.num_scored_tokens == len(ids) - 1
            assert score.mean_loss == pytest.approx(wanted, rel=1e-3)

    async def test_score_reads_texts_of_any_length(self, subject: Subject) -> None:
        for num_tokens in (0, 1):
            nothing = await subject.engine.score(subject.ids(PROMPT)[:num_tokens])
            assert (nothing.mean_loss, nothing.num_scored_tokens) == (None, 0)
        long = (subject.ids(PROMPT) * CONTEXT_TOKENS)[: 3 * CONTEXT_TOKENS + 17]
        score = await subject.engine.score(long)
        assert score.num_scored_tokens == len(long) - 1
        assert score.mean_loss is not None
        assert score.mean_loss > 0

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    async def test_its_own_figures_are_where_ours_are(self, subject: Subject) -> None:
        def generated() -> float:
            name, labels = "vllm:generation_tokens_total", {"model_name": "tiny", "engine": "0"}
            return REGISTRY.get_sample_value(name, labels) or 0.0

        before = generated()
        answer = await subject.say(max_tokens=7)
        assert answer.finish.queue_seconds >= 0
        await subject.until(lambda: generated() == before + 7)

    async def test_closing_the_generator_aborts(self, subject: Subject) -> None:
        async with aclosing(subject.engine.generate(subject.request(max_tokens=LONG))) as deltas:
            await anext(deltas)
            await subject.until(lambda: subject.engine.stats().num_running == 1)
        await subject.until(lambda: subject.is_idle)

    async def test_cancelling_the_task_aborts(self, subject: Subject) -> None:
        task = asyncio.create_task(subject.say(max_tokens=LONG))
        await subject.until(lambda: subject.engine.stats().num_running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await subject.until(lambda: subject.is_idle)

    async def test_abort_ends_the_stream(self, subject: Subject) -> None:
        request = subject.request(max_tokens=LONG)
        deltas = []
        async for delta in subject.engine.generate(request):
            deltas.append(delta)
            if len(deltas) == 1:
                await subject.engine.abort(request.request_id)
        answer = engines.Answer(deltas)
        assert answer.finish.reason is FinishReason.ABORTED
        assert answer.finish.num_generated_tokens == len(answer.token_ids) < LONG
        await subject.until(lambda: subject.is_idle)
        await subject.engine.abort(request.request_id)  # nothing is left of it

    async def test_streams_do_not_mix(self, subject: Subject) -> None:
        prompts = [f"{number} of eight: " for number in range(8)]
        alone = [(await subject.say(prompt)).text for prompt in prompts]
        assert len(set(alone)) > 1
        together = await asyncio.gather(*(subject.say(prompt) for prompt in prompts))
        assert [answer.text for answer in together] == alone

    async def test_parameters_that_the_model_cannot_take(self, subject: Subject) -> None:
        with pytest.raises(BadRequest):
            await subject.say(logit_bias={subject.engine.tokenizer.num_tokens: 1.0})
        assert (await subject.say()).text  # and it lives on

    async def test_it_embeds_nothing(self, subject: Subject) -> None:
        with pytest.raises(Unimplemented):
            await subject.engine.embed(["text"])

    async def test_an_adapter_changes_what_is_said(self, subject: Subject, adapter_id: str) -> None:
        engine, ids = subject.engine, subject.ids(PROMPT)
        base, adapted = await engine.score(ids), await engine.score(ids, adapter_id)
        assert base.mean_loss is not None
        assert adapted.mean_loss is not None
        assert abs(base.mean_loss - adapted.mean_loss) > 0.01
        assert (await engine.score(ids)).mean_loss == pytest.approx(base.mean_loss, abs=1e-3)

    async def test_base_and_adapters_do_not_mix_in_a_batch(self, subject: Subject) -> None:
        """With every adapter that it may have, so that no slot of a batch is left free."""
        names = ["", *(f"a{number}" for number in range(MAX_ADAPTERS))]
        for name, folder in zip(names[1:], subject.adapter_folders, strict=False):
            await subject.engine.load_adapter(name, folder)
        alone = [(await subject.say(adapter_id=name, max_tokens=LONG)).text for name in names]
        together = await asyncio.gather(
            *(subject.say(adapter_id=name, max_tokens=LONG) for name in names)
        )
        assert [answer.text for answer in together] == alone
        for name in names[1:]:
            await subject.engine.unload_adapter(name)

    async def test_an_adapter_comes_while_others_are_served(self, subject: Subject) -> None:
        alone = (await subject.say(max_tokens=LONG)).text
        running = asyncio.create_task(subject.say(max_tokens=LONG))
        await subject.until(lambda: subject.engine.stats().num_running == 1)
        assert await subject.engine.load_adapter("a0", subject.adapter_folders[0]) > 0
        assert not running.done()
        assert await subject.engine.load_adapter("a0", subject.adapter_folders[0]) == 0
        assert subject.engine.adapters.loaded == ("a0",)
        adapted = await subject.say(adapter_id="a0")
        assert adapted.finish.reason is FinishReason.LENGTH
        assert (await running).text == alone
        await subject.engine.unload_adapter("a0")

    async def test_an_adapter_in_use_is_unloaded_after_its_last_user(
        self, subject: Subject, adapter_id: str
    ) -> None:
        text = subject.ids(PROMPT * 60)
        running = asyncio.create_task(subject.say(adapter_id=adapter_id, max_tokens=LONG))
        scoring = asyncio.create_task(subject.engine.score(text, adapter_id))
        await subject.until(lambda: subject.engine.stats().num_running >= 1)
        unloading = asyncio.create_task(subject.engine.unload_adapter(adapter_id))
        await subject.until(lambda: not subject.engine.adapters.loaded)
        with pytest.raises(AdapterNotLoaded):
            await subject.say(adapter_id=adapter_id)
        assert not unloading.done()
        await unloading
        assert running.done()
        assert running.result().finish.reason is FinishReason.LENGTH
        assert (await scoring).num_scored_tokens == len(text) - 1

    async def test_an_adapter_that_is_not_loaded(self, subject: Subject) -> None:
        for call in (
            subject.say(adapter_id="a9"),
            subject.engine.score(subject.ids(PROMPT), "a9"),
            subject.engine.unload_adapter("a9"),
        ):
            with pytest.raises(AdapterNotLoaded, match="a9"):
                await call

    async def test_a_folder_without_adapter_is_refused(self, subject: Subject) -> None:
        nowhere = subject.adapter_folders[0].parent / "nowhere"
        with pytest.raises(BadRequest):
            await subject.engine.load_adapter("a9", nowhere)
        assert subject.engine.adapters.loaded == ()
        assert (await subject.say()).text

    async def test_no_more_adapters_than_it_may_have(self, subject: Subject) -> None:
        *fitting, surplus = subject.adapter_folders
        for number, folder in enumerate(fitting):
            await subject.engine.load_adapter(f"a{number}", folder)
        with pytest.raises(Overloaded, match=f"{MAX_ADAPTERS} adapters are loaded"):
            await subject.engine.load_adapter("a9", surplus)
        said = [await subject.say(adapter_id=f"a{number}") for number in range(MAX_ADAPTERS)]
        assert all(answer.text for answer in said)
        await subject.engine.unload_adapter("a0")
        await subject.engine.load_adapter("a9", surplus)
        for adapter_id in subject.engine.adapters.loaded:
            await subject.engine.unload_adapter(adapter_id)

    @pytest.mark.parametrize("subject", [VLLM], indirect=True)
    async def test_an_adapter_that_would_harm_is_refused(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        """vLLM alone would take both, and the second would spoil the base's answers."""
        sound, whole = (await subject.say()).text, subject.adapter_folders[0]
        other_model = engines.changed_adapter(whole, tmp_path / "other", lambda a: a[:, :10])
        no_number = engines.changed_adapter(whole, tmp_path / "nan", lambda a: a * np.nan)
        for folder, sentence in ((other_model, "another model"), (no_number, "no numbers")):
            with pytest.raises(BadRequest, match=sentence):
                await subject.engine.load_adapter("a9", folder)
        assert subject.engine.adapters.loaded == ()
        assert (await subject.say()).text == sound

    async def test_a_dead_engine_says_so(
        self, subject: Subject, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The last: nobody can use the engine after it."""
        assert subject.engine.errored == ""
        running = asyncio.create_task(subject.say(max_tokens=LONG))
        dying = asyncio.create_task(subject.engine.wait_errored())
        await subject.until(lambda: subject.engine.stats().num_running == 1)
        assert not dying.done()
        subject.kill()
        async with asyncio.timeout(engines.PATIENCE_SECONDS):
            assert await dying == subject.engine.errored != ""
            with pytest.raises(EngineUnavailable):
                await running
        with pytest.raises(EngineUnavailable):
            await subject.say()
        with pytest.raises(EngineUnavailable):
            await subject.engine.load_adapter("a0", subject.adapter_folders[0])
        caplog.clear()  # vLLM logs its exception, which would keep all that it was in memory
