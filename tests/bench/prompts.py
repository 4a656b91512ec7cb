"""Prompts that no engine was asked before, of real code."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from services.inference.tokenization import TOKENIZER_FILE

STARTER = Path(__file__).parents[2] / "services" / "inference" / "starter"
PROMPT_TOKENS = 128
NUM_DISTINCT = 16  # tokens at the beginning: no block of a prefix cache is less

Prompts = Iterator[Sequence[int]]


def prompts() -> Prompts:
    """From files of Python's library; no two begin alike. Ids are those of the starter model."""
    tokenizer = Tokenizer.from_file(str(STARTER / TOKENIZER_FILE))
    seen = set()
    for place in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        ids = tokenizer.encode(place.read_text(errors="ignore"), add_special_tokens=False).ids
        for start in range(0, len(ids) - PROMPT_TOKENS, PROMPT_TOKENS):
            prompt = ids[start : start + PROMPT_TOKENS]
            if (beginning := tuple(prompt[:NUM_DISTINCT])) not in seen:
                seen.add(beginning)
                yield prompt
