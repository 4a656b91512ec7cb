from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import grpc
import pytest

from services.cluster.errors import BadRequest, ContextLengthExceeded
from services.cluster.pb.v1 import replica_pb2 as pb
from services.inference.serving.session import MAX_SLOTS, merge
from tests.inference.serving.conversation import ENDED, Conversation, Generator


@pytest.fixture
async def talk() -> AsyncIterator[Conversation]:
    talk = Conversation(Generator())
    yield talk
    await talk.close()


async def test_all_slots_that_have_something_share_a_message(talk: Conversation) -> None:
    await talk.run(1, "a")
    await talk.run(2, "b")
    talk.generator.say("a", "x")
    talk.generator.say("b", "y")
    found = await talk.hear()
    assert {slot: delta.response.text for slot, delta in found.items()} == {1: "x", 2: "y"}


async def test_a_slot_without_credit_packs_what_it_has_and_costs_others_nothing(
    talk: Conversation,
) -> None:
    await talk.run(1, "stingy", credit=1)
    await talk.run(2, "rich")
    talk.generator.say("stingy", "a")
    assert (await talk.hear())[1].response.text == "a"
    talk.generator.say("stingy", "b", "c", "d")
    await talk.hear_nothing()
    talk.generator.say("rich", "x")
    assert list(await talk.hear()) == [2]
    talk.send(credit=pb.SessionCredit(slot=1, credit=1))
    [delta] = (await talk.hear()).values()
    assert delta.response.text == "bcd"
    assert list(delta.response.token_ids) == [0, 1, 2]
    talk.generator.end("stingy")
    await talk.hear_nothing()
    talk.send(credit=pb.SessionCredit(slot=1, credit=5))
    assert (await talk.hear())[1].response.HasField("finish")


async def test_a_slot_is_free_again_after_its_end(talk: Conversation) -> None:
    for name in ("first", "second"):
        await talk.run(1, name)
        talk.generator.end(name)
        assert (await talk.hear())[1].response.HasField("finish")
    assert talk.generator.closed == ["first", "second"]


async def test_a_busy_slot_is_refused_and_goes_on(talk: Conversation) -> None:
    await talk.run(1, "a")
    talk.start(1, "intruder")
    error = (await talk.hear())[1].error
    assert error.grpc_status == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert "busy" in error.message
    talk.generator.say("a", "x")
    assert (await talk.hear())[1].response.text == "x"
    assert "intruder" not in talk.generator.feeds


async def test_cancel_ends_a_slot_even_without_credit(talk: Conversation) -> None:
    await talk.run(1, "a", credit=1)
    talk.generator.say("a", "x")
    await talk.hear()
    talk.generator.say("a", "held back")
    await talk.hear_nothing()
    talk.send(cancel=pb.SessionCancel(slot=1))
    [delta] = (await talk.hear()).values()
    assert delta.response.finish.reason == pb.FINISH_REASON_ABORTED
    assert delta.response.text == ""
    assert talk.generator.closed == ["a"]


async def test_cancel_gives_an_end_that_was_held_back(talk: Conversation) -> None:
    await talk.run(1, "a", credit=1)
    talk.generator.say("a", "x")
    await talk.hear()
    talk.generator.end("a")
    await talk.hear_nothing()
    talk.send(cancel=pb.SessionCancel(slot=1))
    assert (await talk.hear())[1].response.finish.reason == pb.FINISH_REASON_LENGTH


async def test_cancel_in_the_same_moment_as_the_start(talk: Conversation) -> None:
    talk.start(1, "a")
    talk.send(cancel=pb.SessionCancel(slot=1))
    assert (await talk.hear())[1].response.finish.reason == pb.FINISH_REASON_ABORTED


async def test_words_about_a_slot_that_has_ended_are_nothing(talk: Conversation) -> None:
    talk.send(cancel=pb.SessionCancel(slot=9))
    talk.send(credit=pb.SessionCredit(slot=9, credit=1))
    await talk.hear_nothing()


async def test_an_error_ends_its_slot_only(
    talk: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    for slot, name in enumerate(["refused", "broken", "fine"]):
        await talk.run(slot, name, credit=1)
    talk.generator.feeds["refused"].put_nowait(ContextLengthExceeded("Too long."))
    talk.generator.feeds["broken"].put_nowait(RuntimeError("a secret"))
    talk.generator.say("fine", "x")
    found = await talk.hear()
    assert (found[0].error.code, found[0].error.message) == ("context_length_exceeded", "Too long.")
    assert found[0].error.grpc_status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert found[1].error.code == "internal"
    assert "secret" not in found[1].error.message
    assert found[2].response.text == "x"
    assert [r.levelno for r in caplog.records] == [logging.ERROR]


async def test_a_start_needs_credit(talk: Conversation) -> None:
    talk.start(1, "a", credit=0)
    assert (await talk.hear())[1].error.code == "invalid_request"


async def test_slots_are_bounded(talk: Conversation) -> None:
    for slot in range(MAX_SLOTS + 1):
        talk.start(slot, f"n{slot}")
    [delta] = (await talk.hear()).values()
    assert delta.slot == MAX_SLOTS
    assert delta.error.code == "overloaded"


async def test_each_slot_logs_with_its_own_request_id(talk: Conversation) -> None:
    await talk.run(1, "a")
    await talk.run(2, "b")
    assert talk.generator.request_ids == {"a": "id-a", "b": "id-b"}


async def test_a_message_that_says_nothing_ends_the_session(talk: Conversation) -> None:
    await talk.run(1, "a")
    talk.send()
    with pytest.raises(BadRequest):
        await talk.pending
    assert talk.generator.closed == ["a"]


async def test_the_callers_end_aborts_every_slot(talk: Conversation) -> None:
    await talk.run(1, "a")
    await talk.run(2, "b")
    talk.end()
    with pytest.raises(StopAsyncIteration):
        await talk.pending
    assert sorted(talk.generator.closed) == ["a", "b"]


async def test_closing_the_stream_aborts_every_slot(talk: Conversation) -> None:
    await talk.run(1, "a")
    await talk.run(2, "b")
    await talk.close()
    assert sorted(talk.generator.closed) == ["a", "b"]


def test_responses_pack_into_one() -> None:
    into = pb.GenerateResponse(text="a", token_ids=[1], reasoning="r", num_prompt_tokens=3)
    later = pb.GenerateResponse(
        text="b",
        token_ids=[2],
        reasoning="s",
        logprobs=[pb.PositionLogprobs()],
        tool_calls=[pb.ToolCallDelta(id="c")],
        finish=ENDED.finish,
    )
    merge(into, later)
    assert (into.text, list(into.token_ids), into.reasoning) == ("ab", [1, 2], "rs")
    assert (into.num_prompt_tokens, len(into.logprobs), len(into.tool_calls)) == (3, 1, 1)
    assert into.finish == ENDED.finish
