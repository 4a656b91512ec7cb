"""The echo engine's tokenizer, one token for each byte, and its way from tokens to text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from services.inference.chat_template import ChatTemplate
from services.inference.tokenization import Tokenizer, split_at, well_formed

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
)
NUM_BYTES = 256
_CHAT_TEMPLATE = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


class ByteTokenizer(Tokenizer):
    num_tokens = NUM_BYTES + len(SPECIAL_TOKENS)
    longest_token_bytes = max(map(len, SPECIAL_TOKENS))

    def __init__(self) -> None:
        self.special_tokens = {text: NUM_BYTES + i for i, text in enumerate(SPECIAL_TOKENS)}
        self.chat_template = ChatTemplate(_CHAT_TEMPLATE, {})

    def encode(self, text: str) -> list[int]:
        return self.encode_parts(split_at(text, self.special_tokens))

    def encode_plain(self, text: str) -> list[int]:
        return list(well_formed(text).encode())

    def decode(self, token_ids: Sequence[int]) -> str:
        return b"".join(token_bytes(i) for i in token_ids).decode(errors="replace")


def token_bytes(token_id: int) -> bytes:
    if token_id < NUM_BYTES:
        return bytes([token_id])
    return SPECIAL_TOKENS[token_id - NUM_BYTES].encode()


class TextStream:
    """Whole characters of a stream of tokens, held back where a stop string may have begun.

    The text ends before the stop string that is complete first; of two that end together, before
    the longer.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = stop
        self._held = ""
        self.stop_string = ""

    def feed(self, data: bytes, last: bool) -> str:
        self._held += self._decoder.decode(data, last)
        found = [(self._held.find(stop), stop) for stop in self._stop if stop in self._held]
        if found:
            place, self.stop_string = min(found)
            return self._held[:place]
        num_held = 0 if last else self._num_to_hold()
        ready = self._held[: len(self._held) - num_held]
        self._held = self._held[len(ready) :]
        return ready

    def _num_to_hold(self) -> int:
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stop):
                return size
        return 0
