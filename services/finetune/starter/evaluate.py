"""Evaluation: bits per byte of whole held-out files, beside the baselines.

Run: ``python -m services.finetune.starter.evaluate --model DIR --windows 512 2048 --baselines
--noise``. The exported (bfloat16-rounded) weights run in float32 in transformers' own Qwen2. Every
file is read whole: windows of ``window`` tokens that move by half, so that each token but a file's
first ones sees at least half a window; the first token is predicted from <|endoftext|>; the bits of
all tokens and of the closing <|endoftext|> are summed and divided by the bytes of all files.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from services.finetune.starter import WORK_DIR
from services.finetune.starter.baselines import Trigram, unigram_bits, xz_bits
from services.finetune.starter.corpus import SourceFile, read_jsonl
from services.finetune.starter.examples import encode_all
from services.finetune.starter.noise import KINDS, MAX_CHARS, MIN_CHARS, summarise
from services.finetune.starter.tokenizer import END_OF_TEXT


class LoadedModel:
    """An exported model with its tokenizer, for losses."""

    def __init__(self, folder: Path, window: int = 2048) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.window = window
        self._end: int = self.tokenizer.convert_tokens_to_ids(END_OF_TEXT)

    @torch.no_grad()
    def token_nats(self, text: str, closed: bool = False) -> np.ndarray:
        """Nats of every token of ``text``, and of a closing <|endoftext|> where ``closed``."""
        ids = [self._end, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]
        if closed:
            ids.append(self._end)
        every = torch.tensor(ids)
        losses = np.zeros(len(ids) - 1)
        done = 0
        while done < len(losses):
            begin = max(0, done - self.window // 2)
            part = every[begin : begin + self.window + 1]
            logits = self.model(part[None, :-1]).logits[0, done - begin :]
            nats = torch.nn.functional.cross_entropy(
                logits, part[1 + done - begin :], reduction="none"
            )
            losses[done : done + len(nats)] = nats.numpy()
            done += len(nats)
        return losses


def model_bits(model: LoadedModel, files: list[SourceFile]) -> dict[str, float]:
    """Bits of all files of each package."""
    bits: defaultdict[str, float] = defaultdict(float)
    for file in files:
        bits[file.package] += float(model.token_nats(file.text, closed=True).sum()) / math.log(2)
    return dict(bits)


def measure_baselines(
    tokenizer: Tokenizer, train: list[SourceFile], heldout: list[SourceFile]
) -> dict[str, float]:
    """Bits per byte of the three baselines; the 3-gram model is trained on all training files,
    whole.
    """
    train_bytes, heldout_bytes = (
        [f.text.encode() for f in train],
        [f.text.encode() for f in heldout],
    )
    num_bytes = sum(map(len, heldout_bytes))
    end = END_OF_TEXT * 2
    trigram = Trigram(
        encode_all(tokenizer, (f.text + end for f in train)), tokenizer.get_vocab_size()
    )
    ids = encode_all(tokenizer, (end + f.text for f in heldout))
    closed = np.append(ids, ids[:2])
    return {
        "byte unigram": unigram_bits(train_bytes, heldout_bytes) / num_bytes,
        "xz -9e of each file": xz_bits(heldout_bytes) / num_bytes,
        "3-gram of BPE tokens (Kneser-Ney)": trigram.bits(closed) / num_bytes,
    }


def measure_noise(
    model: LoadedModel, codes: list[str], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Each kind of noise against code, and all kinds together, as ``summarise`` tells them."""
    rng = random.Random(seed)

    def score(text: str) -> tuple[float, float]:
        nats = model.token_nats(text)
        return float(nats.mean()), float(nats.sum()) / math.log(2) / len(text.encode())

    code_scores = [score(code) for code in codes]
    noise_scores = {
        name: [score(make(code, rng)) for code in codes] for name, make in KINDS.items()
    }
    result = {name: summarise(code_scores, scores) for name, scores in noise_scores.items()}
    return result | {"all": summarise(code_scores, list(chain(*noise_scores.values())))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--windows", type=int, nargs="+", default=[])
    parser.add_argument("--every", type=int, default=1, help="take every n-th held-out file")
    parser.add_argument("--baselines", action="store_true")
    parser.add_argument("--noise", action="store_true")
    arguments = parser.parse_args()
    heldout = read_jsonl(arguments.work / "corpus" / "heldout.jsonl")[:: arguments.every]
    num_bytes = Counter[str]()
    for file in heldout:
        num_bytes[file.package] += len(file.text.encode())
    path = arguments.model / "evaluation.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    content["heldout"] = {
        "files": len(heldout),
        "bytes": num_bytes.total(),
        "bytes_by_package": dict(num_bytes),
    }
    for window in arguments.windows:
        bits = model_bits(LoadedModel(arguments.model, window), heldout)
        content.setdefault("bits_per_byte", {})[f"window {window}"] = {
            "all": round(sum(bits.values()) / num_bytes.total(), 4),
            **{name: round(bits[name] / num_bytes[name], 4) for name in bits},
        }
    if arguments.baselines:
        tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
        train = read_jsonl(arguments.work / "corpus" / "train.jsonl")
        measured = measure_baselines(tokenizer, train, heldout)
        content["baselines_bits_per_byte"] = {
            name: round(value, 4) for name, value in measured.items()
        }
    if arguments.noise:
        codes = [file.text[:MAX_CHARS] for file in heldout if len(file.text) >= MIN_CHARS]
        kinds = measure_noise(LoadedModel(arguments.model), codes)
        content["noise"] = {
            "documents_of_each_kind": len(codes),
            "max_chars": MAX_CHARS,
            "kinds": kinds,
        }
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
