"""Completions as the Tabby plugin asks for them: what stands around a cursor, answered whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.completion_ids import completion_id
from services.gateway.dialects.exchange import Answering, Exchange
from services.gateway.dialects.tabby_requests import TabbyCompletionRequest
from services.gateway.dialects.tabby_shapes import TabbyCompletionAnswer
from services.gateway.dialects.tabby_snippets import commented
from services.gateway.generation import COMPLETION_PRIORITY, Generation
from services.gateway.routing import Target, Use

_NUM_NEW_TOKENS = 64  # Tabby's
_BLANK_LINE = "\n\n"
# Snippets get a quarter of the context, in which a token of code is about three characters.
_SNIPPET_SHARE = 4
_CHARS_A_TOKEN = 3


class TabbyCompletion(Exchange[TabbyCompletionRequest]):
    """Fills the place of a cursor, up to the next blank line."""

    request = TabbyCompletionRequest
    answer = TabbyCompletionAnswer
    use = Use.COMPLETION
    priority = COMPLETION_PRIORITY

    @property
    def streams(self) -> bool:
        return False

    def generations(self, target: Target) -> list[Generation]:
        sampling = pb.SamplingParameters(
            max_tokens=_NUM_NEW_TOKENS, temperature=self.body.temperature, stop=[_BLANK_LINE]
        )
        if self.body.seed is not None:
            sampling.seed = self.body.seed % 2**63
        return [Generation(0, self._prompt(target), sampling)]

    async def whole(self, answering: Answering) -> dict[str, Any]:
        texts = []
        async with aclosing(answering.messages()) as messages:
            async for _, message in messages:
                texts.append(message.text)
        text = "".join(texts)
        if self.body.segments.has_crlf:
            text = text.replace("\n", "\r\n")
        return {
            "id": completion_id(answering.target),
            "choices": [{"index": 0, "text": text}],
            "model": answering.target.name,
            "caps_version": answering.caps_version,
        }

    def events(self, answering: Answering) -> AsyncGenerator[bytes]:
        raise NotImplementedError("never streamed")

    def _prompt(self, target: Target) -> pb.Prompt:
        """A replica cuts what does not fit far from the cursor, the snippets first."""
        segments = self.body.segments
        speaker = target.speaker
        num_chars = speaker.context_tokens // _SNIPPET_SHARE * _CHARS_A_TOKEN
        snippets = commented(segments.snippets(), self.body.language, num_chars)
        prefix = snippets + segments.prefix.replace("\r\n", "\n")
        suffix = (segments.suffix or "").replace("\r\n", "\n")
        if not speaker.fills_in_the_middle:
            # Nothing cuts a plain text. A token has a character at least, nearly always.
            return pb.Prompt(text=prefix[-max(1, speaker.context_tokens - _NUM_NEW_TOKENS) :])
        return pb.Prompt(fill_in_the_middle=pb.FillInTheMiddle(prefix=prefix, suffix=suffix))
