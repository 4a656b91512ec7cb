"""Text to token ids and back, by a model's own files, and what users may not smuggle in.

A user's text is data: `<|im_end|>` typed by a user inside a chat message is nine characters or so,
not the end of the message. Only a raw prompt reads special tokens.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import pre_tokenizers

from services.cluster.errors import BadRequest, Unavailable
from services.inference.chat_template import ChatTemplate

TOKENIZER_FILE = "tokenizer.json"
_MAX_FILE_BYTES = 256 * 1024 * 1024
_LONG_TEXT_LETTERS = 10_000
_BYTE_LETTERS = frozenset(pre_tokenizers.ByteLevel.alphabet())


class Tokenizer(ABC):
    """`special_tokens` are the added tokens: their texts, with their ids.

    No token stands for more than `longest_token_bytes` of UTF-8.
    """

    num_tokens: int
    longest_token_bytes: int
    special_tokens: Mapping[str, int]
    chat_template: ChatTemplate | None = None
    file: Path | None = None

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Special tokens written in the text are read; none is added."""

    @abstractmethod
    def encode_plain(self, text: str) -> list[int]:
        """Special tokens written in the text are text."""

    @abstractmethod
    def decode(self, token_ids: Sequence[int]) -> str:
        """Special tokens appear as their texts; broken UTF-8 as U+FFFD."""

    def encode_parts(self, parts: Sequence[tuple[str, bool]]) -> list[int]:
        """`parts` are (text, is it a special token)."""
        token_ids: list[int] = []
        for text, special in parts:
            token_ids += [self.special_tokens[text]] if special else self.encode_plain(text)
        return token_ids


class ModelTokenizer(Tokenizer):
    """Reads tokenizer.json and the chat template of a model folder, unless another is given."""

    def __init__(self, folder: Path, chat_template: str = "") -> None:
        """Raises Unavailable with a sentence when the files cannot be read."""
        self.file = folder / TOKENIZER_FILE
        try:
            description = json.loads(self.file.read_text(encoding="utf-8"))
            self._reading = FastTokenizer.from_str(json.dumps(description))
            self._plain = FastTokenizer.from_str(json.dumps(_all_special(description)))
            self._plain.encode_special_tokens = True
        except Exception as error:  # the library raises plain Exceptions
            raise Unavailable(f"{self.file} cannot be read as a tokenizer: {error}") from error
        for tokenizer in (self._reading, self._plain):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        vocabulary = self._reading.get_vocab(with_added_tokens=True)
        self.num_tokens = max(vocabulary.values(), default=-1) + 1  # ids may have gaps
        self.special_tokens = {
            token.content: token_id
            for token_id, token in self._reading.get_added_tokens_decoder().items()
            if token.content.strip()
        }
        self.longest_token_bytes = longest_token_bytes(vocabulary)
        config = read_json(folder / "tokenizer_config.json")
        self.chat_template = ChatTemplate.of(folder, config, chat_template)

    def encode(self, text: str) -> list[int]:
        return _ids(self._reading, well_formed(text))

    def encode_plain(self, text: str) -> list[int]:
        return _ids(self._plain, well_formed(text))

    def decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._reading.decode(list(token_ids), skip_special_tokens=False)
        return text


def _ids(tokenizer: FastTokenizer, text: str) -> list[int]:
    """Only a batch leaves the GIL to others (tokenizers 0.23): 4 MB take seconds."""
    if len(text) < _LONG_TEXT_LETTERS:
        found = tokenizer.encode(text, add_special_tokens=False)
    else:
        [found] = tokenizer.encode_batch_fast([text], add_special_tokens=False)
    ids: list[int] = found.ids
    return ids


def longest_token_bytes(tokens: Iterable[str]) -> int:
    """As they are written in tokenizer.json: of byte-level ones each letter is a byte.

    What is no such token counts as the bytes of its text, which may be more than it stands for.
    """
    return max(
        (
            len(token) if _BYTE_LETTERS.issuperset(token) else len(token.encode())
            for token in tokens
        ),
        default=1,
    )


def split_at(text: str, special_tokens: Mapping[str, int]) -> list[tuple[str, bool]]:
    """The text as (part, is it a special token), the longest special token first."""
    if not special_tokens:
        return [(text, False)]
    longest_first = sorted(special_tokens, key=len, reverse=True)
    pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
    return [(part, part in special_tokens) for part in pattern.split(text) if part]


def read_json(place: Path, *, finite: bool = False) -> dict[str, Any]:
    """A JSON object of a model folder; {} when the file is absent. Raises BadRequest.

    `finite` refuses NaN, Infinity and numbers that no float holds, such as 1e400.
    """
    if not place.is_file():
        return {}
    if place.stat().st_size > _MAX_FILE_BYTES:
        raise BadRequest(f"{place.name} is larger than 256 MiB: that is no model's file.")
    try:
        text = place.read_text(encoding="utf-8")
        number = _finite if finite else float
        found = json.loads(text, parse_float=number, parse_constant=number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{place.name} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise BadRequest(f"{place.name} must hold a JSON object.")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _all_special(description: Mapping[str, Any]) -> dict[str, Any]:
    """The same tokenizer, every added token called special but those of white space.

    Some that control the model are not called so in its files, such as Qwen's <|fim_prefix|>.
    """
    added = [
        {**token, "special": bool(token["content"].strip())}
        for token in description.get("added_tokens", [])
    ]
    return {**description, "added_tokens": added}


def well_formed(text: str) -> str:
    """Lone surrogates, which JSON lets through, cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRequest("The text holds half a surrogate pair, which is no character.") from error
    return text
