"""Training examples: the corpus as token sequences, with fill-in-the-middle and chat made from it.

Run: ``python -m services.finetune.starter.examples``. Writes ``examples/train.npy`` (uint16, every
document's tokens one after another, each closed by <|endoftext|>) and ``examples/heldout.npz`` into
the work directory.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import textwrap
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from services.finetune.starter import WORK_DIR
from services.finetune.starter.corpus import SourceFile, read_jsonl
from services.finetune.starter.tokenizer import (
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    IM_END,
    IM_START,
)  # fmt: skip

FIM_SHARE = 0.35
SPM_SHARE = 0.1
CHAT_SHARE = 0.03
FIM_WINDOW_CHARS = (300, 3000)
MAX_CHAT_CHARS = 1500
NUM_PARTS = 2
CHAT_SYSTEM = "You are a helpful coding assistant."


@dataclass(frozen=True)
class Hole:
    """A text cut in three: ``prefix + middle + suffix`` is the text again."""

    prefix: str
    middle: str
    suffix: str

    def render(self, suffix_first: bool = False) -> str:
        """PSM or SPM text (arXiv:2207.14255 section 3; the token names are Qwen2.5-Coder's)."""
        if suffix_first:
            body = f"{FIM_PREFIX}{FIM_SUFFIX}{self.suffix}{FIM_MIDDLE}{self.prefix}{self.middle}"
        else:
            body = f"{FIM_PREFIX}{self.prefix}{FIM_SUFFIX}{self.suffix}{FIM_MIDDLE}{self.middle}"
        return body + END_OF_TEXT


def parse_hole(rendered: str) -> Hole:
    """The inverse of ``Hole.render`` in PSM form."""
    head, middle = rendered.removesuffix(END_OF_TEXT).split(FIM_MIDDLE)
    prefix, suffix = head.removeprefix(FIM_PREFIX).split(FIM_SUFFIX)
    return Hole(prefix, middle, suffix)


def cut_hole(text: str, rng: random.Random) -> Hole:
    """Cut a middle of the sizes an IDE asks for: the rest of a line, part of one, a few lines, or
    any span. The middle is never empty where ``text`` is not: a first training run that allowed it
    learnt to answer with nothing.
    """
    lines = [  # of every line with something on it: where its text begins, where it ends
        (match.start(1), match.end(1))
        for match in re.finditer(r"^[ \t]*(\S.*)$", text, re.MULTILINE)
    ]
    if not lines:
        return Hole("", text, "")
    chosen = rng.randrange(len(lines))
    first, line_end = lines[chosen]
    inside = rng.randrange(first, line_end)
    kind = rng.random()
    if kind < 0.35:  # the rest of a line, from its indent or from a point inside it
        begin, end = rng.choice((first, inside)), line_end
    elif kind < 0.55:  # a part of a line
        begin, end = inside, rng.randint(inside + 1, line_end)
    elif kind < 0.85:  # the rest of this line and some whole ones
        begin = rng.choice((first, inside))
        end = lines[min(chosen + rng.randint(1, 8), len(lines) - 1)][1]
    else:
        begin = rng.randrange(len(text))
        end = rng.randint(begin + 1, min(len(text), begin + 800))
    return Hole(text[:begin], text[begin:end], text[end:])


def fim_documents(text: str, rng: random.Random) -> Iterator[str]:
    """A file as windows that each fit the training length, every one with one hole."""
    begin = 0
    while begin < len(text):
        end = begin + rng.randint(*FIM_WINDOW_CHARS)
        newline = text.find("\n", end)
        end = len(text) if newline < 0 else newline + 1
        yield cut_hole(text[begin:end], rng).render(rng.random() < SPM_SHARE)
        begin = end


def chat_text(request: str, answer: str) -> str:
    """One exchange in ChatML, as the chat template writes it."""
    return (
        f"{IM_START}system\n{CHAT_SYSTEM}{IM_END}\n{IM_START}user\n{request}{IM_END}\n"
        f"{IM_START}assistant\n{answer}{IM_END}\n{END_OF_TEXT}"
    )


def chat_documents(text: str, rng: random.Random) -> Iterator[str]:
    """An exchange for every plain function of a file whose docstring opens with a sentence of a
    request's kind.
    """
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("__"):
            continue
        first = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ").strip()
        source = ast.get_source_segment(text, node, padded=True)
        if (
            source is None
            or not 15 <= len(first) <= 160
            or len(source) > MAX_CHAT_CHARS
            or len(node.body) < 2
        ):
            continue
        asked = first[0].lower() + first[1:].rstrip(".")
        request = rng.choice(
            (
                f"Write a Python function that {asked}.",
                f"Write a Python function `{node.name}` that {asked}.",
                f"Write a function: {first.rstrip('.')}.",
            )
        )
        yield chat_text(request, f"```python\n{textwrap.dedent(source).rstrip()}\n```")


def training_documents(files: list[SourceFile], seed: int) -> Iterator[str]:
    """Every file once, in random order, whole or with holes; chat spread between, CHAT_SHARE of the
    characters.
    """
    rng = random.Random(seed)
    chat_chars = total_chars = 0
    for file in rng.sample(files, len(files)):
        if rng.random() < FIM_SHARE:
            yield from fim_documents(file.text, rng)
        else:
            yield file.text + END_OF_TEXT
        total_chars += len(file.text)
        if chat_chars < CHAT_SHARE * total_chars:
            for chat in chat_documents(file.text, rng):
                chat_chars += len(chat)
                yield chat


def encode_part(job: tuple[Path, list[SourceFile], int]) -> np.ndarray:
    """One process's share of the training ids."""
    tokenizer_json, files, seed = job
    return encode_all(Tokenizer.from_file(str(tokenizer_json)), training_documents(files, seed))


def encode_all(tokenizer: Tokenizer, documents: Iterator[str], batch: int = 256) -> np.ndarray:
    """All documents' ids one after another, uint16."""
    parts: list[np.ndarray] = []
    pending: list[str] = []
    for document in documents:
        pending.append(document)
        if len(pending) == batch:
            parts += [np.array(e.ids, dtype=np.uint16) for e in tokenizer.encode_batch(pending)]
            pending = []
    parts += [np.array(e.ids, dtype=np.uint16) for e in tokenizer.encode_batch(pending)]
    return np.concatenate(parts)


def heldout_blocks(
    tokenizer: Tokenizer, files: list[SourceFile], num_blocks: int, block: int
) -> tuple[np.ndarray, int]:
    """A small fixed part of the held-out text: [num_blocks, block + 1] ids, their bytes."""
    order = random.Random(0).sample(files, len(files))
    ids = encode_all(tokenizer, (file.text + END_OF_TEXT for file in order))
    starts = np.linspace(0, ids.size - block - 1, num_blocks).astype(int)
    blocks = np.stack([ids[i : i + block + 1] for i in starts])
    return blocks, int(token_bytes(tokenizer)[blocks[:, 1:]].sum())


def token_bytes(tokenizer: Tokenizer) -> np.ndarray:
    """Bytes of text that each id stands for: a byte-level token has one character per byte, a
    special token none.
    """
    special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    sizes = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for piece, i in tokenizer.get_vocab().items():
        sizes[i] = 0 if i in special else len(piece)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    work: Path = arguments.work
    tokenizer_json = work / "tokenizer" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    train = read_jsonl(work / "corpus" / "train.jsonl")
    folder = work / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(tokenizer_json, train[i::NUM_PARTS], arguments.seed + i) for i in range(NUM_PARTS)]
    with ProcessPoolExecutor(NUM_PARTS) as pool:
        ids = np.concatenate(list(pool.map(encode_part, jobs)))
    np.save(folder / "train.npy", ids)
    heldout = read_jsonl(work / "corpus" / "heldout.jsonl")
    blocks, num_bytes = heldout_blocks(tokenizer, heldout, num_blocks=24, block=2048)
    np.savez(folder / "heldout.npz", blocks=blocks, num_bytes=np.array(num_bytes))
    size = sum(len(file.text.encode()) for file in train)
    facts = {"files": len(train), "bytes": size, "tokens": int(ids.size)}
    (folder / "facts.json").write_text(json.dumps(facts))
    print(facts, f"{size / ids.size:.3f} bytes per token, special tokens and chat counted")


if __name__ == "__main__":
    main()
