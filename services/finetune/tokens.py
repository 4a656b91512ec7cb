"""A base model's own tokenizer, as training reads it: a file's text is never a special token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from services.cluster.errors import BadRequest
from services.cluster.fim import FimFamily, recognise

_FILE = "tokenizer.json"


class TextTokenizer:
    """`fim` is None for a model without fill-in-the-middle; `end_id` closes a document."""

    def __init__(self, folder: Path) -> None:
        """Raises BadRequest when the model's files cannot be read."""
        try:
            description = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            self._tokenizer = Tokenizer.from_str(json.dumps(_all_special(description)))
        except Exception as error:  # the library raises plain Exceptions
            raise BadRequest(f"{_FILE} of the model cannot be read: {error}.") from error
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_tokens = {token.content: number for number, token in added.items()}
        self.fim: FimFamily | None = recognise(self.special_tokens)
        self.end_id = self._end_id(folder)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        found = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def _end_id(self, folder: Path) -> int:
        """The family's own end of an answer, else what the model's files call the end."""
        texts = list(self.fim.stops) if self.fim else []
        texts.append(_end_token(folder))
        for text in texts:
            if text in self.special_tokens:
                return self.special_tokens[text]
        raise BadRequest("The model's tokenizer names no end-of-text token.")


def _end_token(folder: Path) -> str:
    place = folder / "tokenizer_config.json"
    if not place.is_file():
        return ""
    token: Any = json.loads(place.read_text(encoding="utf-8")).get("eos_token")
    return str(token.get("content") if isinstance(token, dict) else token)


def _all_special(description: Mapping[str, Any]) -> dict[str, Any]:
    """Every added token called special but those of white space, so that none is read in a text.

    Some that control the model are not called so in its files, such as Qwen's <|fim_prefix|>.
    """
    added = [
        {**token, "special": bool(token["content"].strip())}
        for token in description.get("added_tokens", [])
    ]
    return {**description, "added_tokens": added}
