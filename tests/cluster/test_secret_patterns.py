"""Secrets of known forms are found, and what is none is left alone."""

from __future__ import annotations

import json
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.secret_patterns import PATTERNS, mask

ROOT = Path(__file__).parents[2]
WORD = (string.ascii_letters + string.digits) * 8
# Made of letters in their order, and put together here: no scanner takes them for real ones.
EXAMPLES = {
    "private key": "-----BEGIN RSA "
    + f"PRIVATE KEY-----\n{WORD}\n-----END RSA "
    + "PRIVATE KEY-----",
    "AWS key id": "AKIA" + "ABCDEFGHIJKLMNOP",
    "AWS secret key": WORD[:40],
    "GitHub token": "ghp_" + WORD[:36],
    "GitLab token": "glpat-" + WORD[:20],
    "Slack token": "xoxb-" + "1234567890-" + WORD[:20],
    "Slack webhook": "https://hooks.slack.com/services/" + "T000/B000/" + WORD[:24],
    "Stripe key": "sk_live_" + WORD[:24],
    "API key": "sk-proj-" + WORD[:48],
    "Google key": "AIza" + WORD[:35],
    "Groq key": "gsk_" + WORD[:52],
    "Hugging Face token": "hf_" + WORD[:34],
    "npm token": "npm_" + WORD[:36],
    "PyPI token": "pypi-" + WORD[:60],
    "SendGrid key": "SG." + WORD[:22] + "." + WORD[:43],
    "Azure storage key": WORD[:86] + "==",
    "JSON Web Token": "eyJ" + WORD[:20] + ".eyJ" + WORD[:30] + "." + WORD[:43],
    "Hearth token": "hearth_0123456789ab_" + WORD[:43],
    "password in a URL": "hunter2-" + WORD[:4],
    "password": "correct-horse-battery",
}
AROUND = {
    "AWS secret key": "aws_secret_access_key = {}",
    "Azure storage key": "AccountName=x;AccountKey={};Endpoint=y",
    "password in a URL": "postgres://ann:{}@db.example/x",
    "password": 'DB_PASSWORD = "{}"',
}


@pytest.mark.parametrize("kind", [known.kind for known in PATTERNS])
def test_a_secret_of_each_kind(kind: str) -> None:
    text = f"x = 1\n{AROUND.get(kind, 'key: {}').format(EXAMPLES[kind])}\ny = 2\n"
    found: Counter[str] = Counter()
    masked = mask(text, found)
    assert found == {kind: 1}
    assert masked == text.replace(EXAMPLES[kind], f"[masked {kind}]")
    assert mask(masked, found) == masked


@pytest.mark.parametrize("kind", [known.kind for known in PATTERNS])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_secret_at_the_beginning_of_a_line_within_json(kind: str, depth: int) -> None:
    """As agents show files to a model: what stands before it there is the n of an escape."""
    line = AROUND.get(kind, "{}").format(EXAMPLES[kind])
    text = told = f"x = 1\n{line}\ny = 2\n"
    for _ in range(depth):
        told = json.dumps({"content": told})
    found: Counter[str] = Counter()
    masked = mask(told, found)
    assert found == {kind: 1}
    for _ in range(depth):
        masked = json.loads(masked)["content"]
    assert masked == text.replace(EXAMPLES[kind], f"[masked {kind}]")


@pytest.mark.parametrize("kind", [known.kind for known in PATTERNS if not known.is_begun])
def test_a_secret_across_two_steps_of_a_long_text(kind: str) -> None:
    line = AROUND[kind].format(EXAMPLES[kind])
    for cut in range(0, len(line) + 1, 11):
        text = ";" * (2**18 - cut) + line + ";" * 1000
        found: Counter[str] = Counter()
        assert EXAMPLES[kind] not in mask(text, found)
        assert found == {kind: 1}


def test_a_private_key_that_is_cut_off_is_one() -> None:
    cut = EXAMPLES["private key"][:80]
    assert mask(f"a\n{cut}", Counter()) == "a\n[masked private key]"


def test_our_own_code_has_no_secret() -> None:
    found: Counter[str] = Counter()
    for place in [*ROOT.glob("services/**/*.py"), *ROOT.glob("docs/**/*.md")]:
        text = place.read_text()
        assert mask(text, found) == text, place
    assert not found


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text, Counter())
    assert mask(once, Counter()) == once


@given(st.lists(st.sampled_from([*EXAMPLES.values(), *string.punctuation, " ", "\n", "x"])))
def test_masking_twice_is_masking_once_beside_secrets(pieces: list[str]) -> None:
    once = mask("".join(pieces), Counter())
    assert mask(once, Counter()) == once


_NASTY = (
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN " + "A" * 40,
    "eyJaaaaaaaaaa.",
    "eyJaaaaaaaaaa.eyJ",
    "postgres://a:",
    "a://b:cc@",
    "a" * 21 + "://",
    'password: "',
    "secret=" + " " * 4,
    "aws_secret_key='" + "A" * 39 + "=",
    "SG." + "a" * 16 + ".",
    "glabc-",
    "sk-",
    "sk_",
    "gh",
    "AccountKey=",
    "hearth_",
    "https://hooks.slack.com/services/",
)


@pytest.mark.parametrize("piece", _NASTY)
def test_a_nasty_text_costs_what_it_weighs(piece: str) -> None:
    """Half a megabyte: where each place is tried against all that follows, this takes hours."""
    text = piece * (2**19 // len(piece))
    once = mask(text, Counter())
    assert mask(once, Counter()) == once
