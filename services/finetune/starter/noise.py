"""Noise: texts that are not code, made to the length of a file, and how well a score tells them
from code (ROC AUC).

``evaluate.py`` scores them: every held-out file gives one document of code (its first ``MAX_CHARS``
characters) and one of each kind of noise of the same length.
"""

from __future__ import annotations

import base64
import pydoc_data.topics
import random
import re
import string
from collections.abc import Callable

import numpy as np

MIN_CHARS, MAX_CHARS = 1000, 4000


def roc_auc(low: list[float], high: list[float]) -> float:
    """Chance that a random one of ``high`` is above a random one of ``low``, ties counted half
    (Mann-Whitney U).
    """
    scores = np.array([*low, *high])
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    num_low, num_high = len(low), len(high)
    return float((ranks[num_low:].sum() - num_high * (num_high + 1) / 2) / (num_low * num_high))


def base64_lines(code: str, rng: random.Random) -> str:
    text = base64.b64encode(rng.randbytes(len(code) * 3 // 4 + 1)).decode()
    return "\n".join(text[i : i + 76] for i in range(0, len(text), 76))[: len(code)]


def random_identifiers(code: str, rng: random.Random) -> str:
    """The code with the letters and digits of every word replaced by random ones: its punctuation
    and shape stay.
    """
    letters, digits = string.ascii_letters + "_", string.digits
    return re.sub(
        r"[A-Za-z_]",
        lambda _: rng.choice(letters),
        re.sub(r"\d", lambda _: rng.choice(digits), code),
    )


def log_lines(code: str, rng: random.Random) -> str:
    lines, length = [], 0
    while length < len(code):
        parts = (
            f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:"
            f"{rng.randint(0, 59):02d}:{rng.random() * 60:06.3f}Z",
            rng.choice(("INFO", "WARN", "DEBUG", "ERROR")),
            f"[{rng.choice(('worker', 'http', 'db', 'cache', 'gc'))}-{rng.randint(1, 64)}]",
            rng.choice(
                (
                    f"request {rng.randbytes(8).hex()} took {rng.randint(1, 9000)}ms "
                    f"status={rng.choice((200, 404, 500))}",
                    f"connection from 10.{rng.randint(0, 255)}.{rng.randint(0, 255)}."
                    f"{rng.randint(1, 254)}:{rng.randint(1024, 65535)} closed",
                    f"evicted {rng.randint(1, 10**6)} keys, heap={rng.randint(1, 4096)}MB",
                    f"session {rng.randbytes(16).hex()} expired",
                )
            ),
        )
        lines.append(" ".join(parts))
        length += len(lines[-1]) + 1
    return "\n".join(lines)[: len(code)]


def shuffled_tokens(code: str, rng: random.Random) -> str:
    pieces = re.findall(r"\w+|\s+|[^\w\s]", code)
    rng.shuffle(pieces)
    return "".join(pieces)


def shuffled_lines(code: str, rng: random.Random) -> str:
    lines = code.splitlines()
    rng.shuffle(lines)
    return "\n".join(lines)


def prose(code: str, rng: random.Random) -> str:
    """Paragraphs of the Python language reference without their examples (the corpus leaves this
    file out: generated).
    """
    text = "\n\n".join(str(topic) for topic in pydoc_data.topics.topics.values())
    paragraphs = [
        p for p in text.split("\n\n") if len(p) > 150 and not re.search(r"::=|>>>|[=(){}\[\]_]", p)
    ]
    rng.shuffle(paragraphs)
    return "\n\n".join(paragraphs)[: len(code)]


KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "base64": base64_lines,
    "random identifiers": random_identifiers,
    "log lines": log_lines,
    "shuffled tokens": shuffled_tokens,
    "shuffled lines": shuffled_lines,
    "prose": prose,
}


def summarise(
    code: list[tuple[float, float]], noise: list[tuple[float, float]]
) -> dict[str, float]:
    """Both AUCs and mean bits per byte.

    A score is (mean nats per token, bits per byte) of one document.
    """
    return {
        "auc_by_token": round(roc_auc([c[0] for c in code], [n[0] for n in noise]), 5),
        "auc_by_byte": round(roc_auc([c[1] for c in code], [n[1] for n in noise]), 5),
        "noise_bits_per_byte": round(float(np.mean([n[1] for n in noise])), 3),
        "code_bits_per_byte": round(float(np.mean([c[1] for c in code])), 3),
    }
