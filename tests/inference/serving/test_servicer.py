from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from services.cluster.errors import (
    AdapterNotLoaded,
    BadRequest,
    ContextLengthExceeded,
    EngineUnavailable,
    NotFound,
    Unimplemented,
)
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.records import ReplicaPhase
from services.cluster.settings import ClusterSettings
from tests.inference.serving.replicas import (
    ReplicaUnderTest,
    error_of,
    publish_adapter,
    serving,
    text_request,
)


@pytest.fixture
async def replica(settings: ClusterSettings) -> AsyncIterator[ReplicaUnderTest]:
    async with serving(settings) as replica:
        yield replica


async def test_generate_streams_until_its_finish(replica: ReplicaUnderTest) -> None:
    responses = [r async for r in replica.stub.Generate(text_request("abc", max_tokens=5))]
    assert "".join(r.text for r in responses) == "abcab"
    assert [r.num_prompt_tokens for r in responses if r.HasField("num_prompt_tokens")] == [3]
    assert [r.HasField("finish") for r in responses] == [False] * 4 + [True]
    finish = responses[-1].finish
    assert finish.reason == pb.FINISH_REASON_LENGTH
    assert (finish.num_prompt_tokens, finish.num_generated_tokens) == (3, 5)
    assert not replica.engine.aborted
    assert replica.generations.num_open == 0


async def test_a_session_carries_many_generations(replica: ReplicaUnderTest) -> None:
    call = replica.stub.Session()
    for slot, text in enumerate(["abc", "xyz"]):
        start = pb.SessionStart(slot=slot, request=text_request(text, 3), credit=10)
        await call.write(pb.SessionRequest(start=start))
    texts, ended = {0: "", 1: ""}, set[int]()
    while ended != {0, 1}:
        message = await call.read()
        assert isinstance(message, pb.SessionResponse)
        for delta in message.deltas:
            texts[delta.slot] += delta.response.text
            if delta.response.HasField("finish"):
                ended.add(delta.slot)
    assert texts == {0: "abc", 1: "xyz"}
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK


async def test_score_gives_mean_losses_and_bytes(replica: ReplicaUnderTest) -> None:
    answer = await replica.stub.Score(pb.ScoreRequest(texts=["hé", "", "a" * 10_000]))
    short, empty, long = answer.scores
    assert (short.num_scored_tokens, short.num_bytes) == (2, 3)
    assert short.mean_loss > 0
    assert not empty.HasField("mean_loss")
    assert (long.num_scored_tokens, long.num_bytes) == (9_999, 10_000)
    unknown = await error_of(replica.stub.Score(pb.ScoreRequest(texts=["a"], adapter_id="missing")))
    assert isinstance(unknown, AdapterNotLoaded)
    assert isinstance(await error_of(replica.stub.Score(pb.ScoreRequest())), BadRequest)


async def test_special_tokens_in_a_scored_text_are_text(replica: ReplicaUnderTest) -> None:
    answer = await replica.stub.Score(pb.ScoreRequest(texts=["<|im_end|>"]))
    assert answer.scores[0].num_scored_tokens == 9


async def test_tokenize_goes_both_ways(replica: ReplicaUnderTest) -> None:
    raw = await replica.stub.Tokenize(pb.TokenizeRequest(prompt=pb.Prompt(text="a<|fim_prefix|>")))
    assert list(raw.tokens.ids) == [97, 259]
    back = await replica.stub.Tokenize(pb.TokenizeRequest(tokens=raw.tokens))
    assert back.text == "a<|fim_prefix|>"
    cursor = pb.FillInTheMiddle(prefix="p", suffix="s")
    filled = await replica.stub.Tokenize(
        pb.TokenizeRequest(prompt=pb.Prompt(fill_in_the_middle=cursor))
    )
    assert filled.text == "<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>"
    chat = pb.Chat(messages=[pb.ChatMessage(role="user", content="hi <|im_end|>")])
    rendered = await replica.stub.Tokenize(pb.TokenizeRequest(prompt=pb.Prompt(chat=chat)))
    assert rendered.text == "<|im_start|>user\nhi <|im_end|><|im_end|>\n<|im_start|>assistant\n"
    assert list(rendered.tokens.ids).count(258) == 1  # the user's is text
    assert isinstance(await error_of(replica.stub.Tokenize(pb.TokenizeRequest())), BadRequest)
    beyond = pb.TokenizeRequest(tokens=pb.TokenIds(ids=[262]))
    assert isinstance(await error_of(replica.stub.Tokenize(beyond)), BadRequest)


async def test_the_tokenizer_arrives_in_parts(
    replica: ReplicaUnderTest, settings: ClusterSettings
) -> None:
    absent = await error_of(replica.stub.GetTokenizer(pb.GetTokenizerRequest()))
    assert isinstance(absent, NotFound)
    content = b"{" + b" " * 2_500_000 + b"}"
    replica.engine.tokenizer.file = settings.data_dir / "tokenizer.json"
    replica.engine.tokenizer.file.write_bytes(content)
    chunks = [c.data async for c in replica.stub.GetTokenizer(pb.GetTokenizerRequest())]
    assert [len(chunk) for chunk in chunks] == [1048576, 1048576, 402850]
    assert b"".join(chunks) == content


async def test_an_adapter_comes_answers_and_goes(
    replica: ReplicaUnderTest, settings: ClusterSettings
) -> None:
    publish_adapter(settings.data_dir, "a1")
    await replica.stub.LoadAdapter(pb.LoadAdapterRequest(adapter_id="a1"))
    again = await replica.stub.LoadAdapter(pb.LoadAdapterRequest(adapter_id="a1"))
    assert again.load_seconds == 0
    status = await replica.stub.GetStatus(pb.GetReplicaStatusRequest())
    assert list(status.loaded_adapter_ids) == ["a1"]
    losses = [
        (await replica.stub.Score(pb.ScoreRequest(texts=["abc"], adapter_id=adapter_id)))
        .scores[0]
        .mean_loss
        for adapter_id in ("", "a1")
    ]
    assert losses[1] < losses[0]
    await replica.stub.UnloadAdapter(pb.UnloadAdapterRequest(adapter_id="a1"))
    request = text_request("abc")
    request.adapter_id = "a1"
    assert isinstance(await error_of(replica.stub.Generate(request)), AdapterNotLoaded)
    twice = replica.stub.UnloadAdapter(pb.UnloadAdapterRequest(adapter_id="a1"))
    assert isinstance(await error_of(twice), AdapterNotLoaded)


async def test_an_adapter_that_is_none_is_refused(
    replica: ReplicaUnderTest, settings: ClusterSettings
) -> None:
    publish_adapter(settings.data_dir, "high", r=128)
    refused = await error_of(replica.stub.LoadAdapter(pb.LoadAdapterRequest(adapter_id="high")))
    assert isinstance(refused, BadRequest)
    assert "rank is 128" in refused.message
    absent = await error_of(replica.stub.LoadAdapter(pb.LoadAdapterRequest(adapter_id="a9")))
    assert isinstance(absent, NotFound)
    escaping = replica.stub.LoadAdapter(pb.LoadAdapterRequest(adapter_id="../x"))
    assert isinstance(await error_of(escaping), BadRequest)


async def test_status_names_engine_and_phase(replica: ReplicaUnderTest) -> None:
    status = await replica.stub.GetStatus(pb.GetReplicaStatusRequest())
    assert (status.replica_id, status.engine, status.engine_version) == ("r1", "echo", "1")
    assert status.phase == pb.REPLICA_PHASE_READY
    assert status.context_tokens == 4096


async def test_errors_arrive_as_their_class(replica: ReplicaUnderTest) -> None:
    generate = replica.stub.Generate
    too_long = await error_of(generate(text_request("a" * 4096)))
    assert isinstance(too_long, ContextLengthExceeded)
    assert isinstance(await error_of(generate(pb.GenerateRequest())), BadRequest)
    assert isinstance(await error_of(generate(text_request(""))), BadRequest)
    assert isinstance(await error_of(generate(text_request("a", temperature=2.5))), BadRequest)
    embed = replica.stub.Embed(pb.EmbedRequest(texts=["a"]))
    assert isinstance(await error_of(embed), Unimplemented)


async def test_before_the_engine_is_there_only_its_status_answers(
    replica: ReplicaUnderTest,
) -> None:
    replica.state.engine = replica.state.generations = None
    replica.state.set(ReplicaPhase.STARTING, "loading the weights")
    refused = await error_of(replica.stub.Generate(text_request("abc")))
    assert isinstance(refused, EngineUnavailable)
    assert "loading the weights" in refused.message
    status = await replica.stub.GetStatus(pb.GetReplicaStatusRequest())
    assert status.phase == pb.REPLICA_PHASE_STARTING
