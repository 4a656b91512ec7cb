"""Text to token ids and back, by a model's own files, and what users may not smuggle in.

A user's text is data: `<|im_end|>` typed by a user inside a chat message is nine characters or so,
not the end of the message. Only a raw prompt reads special tokens.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as FastTokenizer

from services.cluster.errors import BadRequest, Unavailable
from services.inference.chat_template import ChatTemplate

TOKENIZER_FILE = "tokenizer.json"
_MAX_FILE_BYTES = 256 * 1024 * 1024


class Tokenizer(ABC):
    """`special_tokens` are the added tokens: their texts, with their ids."""

    num_tokens: int
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
    """Reads tokenizer.json and the chat template of a model folder."""

    def __init__(self, folder: Path) -> None:
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
        config = read_json(folder / "tokenizer_config.json")
        self.chat_template = ChatTemplate.of(folder, config)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._reading.encode(well_formed(text), add_special_tokens=False).ids
        return ids

    def encode_plain(self, text: str) -> list[int]:
        ids: list[int] = self._plain.encode(well_formed(text), add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._reading.decode(list(token_ids), skip_special_tokens=False)
        return text


def split_at(text: str, special_tokens: Mapping[str, int]) -> list[tuple[str, bool]]:
    """The text as (part, is it a special token), the longest special token first."""
    if not special_tokens:
        return [(text, False)]
    longest_first = sorted(special_tokens, key=len, reverse=True)
    pattern = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
    return [(part, part in special_tokens) for part in pattern.split(text) if part]


def read_json(place: Path) -> dict[str, Any]:
    """A JSON object of a model folder; {} when the file is absent. Raises BadRequest."""
    if not place.is_file():
        return {}
    if place.stat().st_size > _MAX_FILE_BYTES:
        raise BadRequest(f"{place.name} is larger than 256 MiB: that is no model's file.")
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{place.name} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise BadRequest(f"{place.name} must hold a JSON object.")
    return found


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
