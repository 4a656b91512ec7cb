"""POST /v1/fim/completions: fill-in-the-middle as Mistral has it, and Continue after it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic import Field

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.dialects.exchange import Answering, Exchange
from services.gateway.dialects.openai_answers import Envelope, chunks, finish_reason
from services.gateway.dialects.openai_requests import GenerationFields
from services.gateway.dialects.openai_shapes import ChatCompletion, ChatCompletionChunk
from services.gateway.generation import COMPLETION_PRIORITY, Generation, spread
from services.gateway.routing import Target, Use


class FimRequest(GenerationFields):
    prompt: str
    suffix: str = ""
    random_seed: int | None = Field(None, ge=0, lt=2**63)


class MistralFim(Exchange[FimRequest]):
    """Fills the place between `prompt` and `suffix`; what comes has the form of a chat's answer."""

    request = FimRequest
    answer = ChatCompletion
    event = ChatCompletionChunk
    use = Use.COMPLETION
    priority = COMPLETION_PRIORITY

    @property
    def streams(self) -> bool:
        return self.body.stream

    def generations(self, target: Target) -> list[Generation]:
        parts = pb.FillInTheMiddle(prefix=self.body.prompt, suffix=self.body.suffix)
        sampling = self.body.sampling(None)
        if self.body.random_seed is not None:
            sampling.seed = self.body.random_seed
        return spread([pb.Prompt(fill_in_the_middle=parts)], sampling, self.body.n)

    async def whole(self, answering: Answering) -> dict[str, Any]:
        texts = [""] * len(answering.generations)
        reasons: list[str | None] = [None] * len(texts)
        async with aclosing(answering.messages()) as messages:
            async for generation, message in messages:
                texts[generation.index] += message.text
                reasons[generation.index] = finish_reason(message)
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": text},
                "finish_reason": reasons[index],
            }
            for index, text in enumerate(texts)
        ]
        envelope = _envelope(answering, "chat.completion")
        return envelope.wrap(choices, usage=answering.usage.as_dict())

    def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        envelope = _envelope(answering, "chat.completion.chunk")
        with_usage = self.body.stream_options.include_usage
        return chunks(envelope, self._deltas(answering), answering.usage, with_usage)

    async def _deltas(self, answering: Answering) -> AsyncGenerator[dict[str, Any]]:
        async with aclosing(answering.messages()) as messages:
            async for generation, message in messages:
                reason = finish_reason(message)
                if message.text or reason:
                    yield {
                        "index": generation.index,
                        "delta": {"role": "assistant", "content": message.text},
                        "finish_reason": reason,
                    }


def _envelope(answering: Answering, kind: str) -> Envelope:
    return Envelope(answering.target, answering.caps_version, "fim", kind)
