"""Secrets whose form is known, found in text.

Own patterns: detect-secrets, the library for this, reads 0.09 MB a second, which is too slow beside
a request. Each form is as its issuer documents it, so that code without a secret is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_STEP_CHARS = 2**18
_LONGEST_CHARS = 1000  # what a pattern that is not `is_begun` reads, and more


@dataclass(frozen=True)
class SecretPattern:
    """`pattern` has one group, the secret itself; it occurs in no text without one of `hints`.

    `is_begun`: every match begins with a hint. Text is found ten times as fast as such a pattern.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    is_begun: bool


def _pattern(kind: str, pattern: str, *hints: str) -> SecretPattern:
    return SecretPattern(kind, hints, re.compile(pattern), is_begun=False)


def _begun(kind: str, pattern: str, *hints: str) -> SecretPattern:
    return SecretPattern(kind, hints, re.compile(pattern), is_begun=True)


# Code is often quoted within JSON or code: what stands before a word is an escape there, whose last
# sign is a letter, and quotes have backslashes.
_WORD = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[abfnrtv0])|(?<=\\u[0-9A-Fa-f]{4}))"
_QUOTE = r"\\{0,3}[\"']"
_END = r"(?![A-Za-z0-9_-])"

PATTERNS = (
    _begun(
        "private key",
        # Up to the next one at most: what never ends is read once, however often it begins.
        r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[\s\S]){1,20000}?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z))",
        "-----BEGIN ",
    ),
    _begun("AWS key id", _WORD + r"((?:AKIA|ASIA)[A-Z2-7]{16})" + _END, "AKIA", "ASIA"),
    _pattern(
        "AWS secret key",
        rf"(?i:aws_?secret_?(?:access_?)?key)(?:{_QUOTE})?\s{{0,4}}[:=]{{1,2}}>?\s{{0,4}}(?:{_QUOTE})?"
        r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        "secret",
        "SECRET",
        "Secret",
    ),
    _begun(
        "GitHub token",
        _WORD + r"(gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{59,251})" + _END,
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
    ),
    _begun("GitLab token", _WORD + r"(gl[a-z]{2,6}-[A-Za-z0-9_-]{20,})", "gl"),
    _begun("Slack token", _WORD + r"(xox[abeoprs]-[A-Za-z0-9-]{10,})", "xox"),
    _begun(
        "Slack webhook",
        r"(https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,})",
        "https://hooks.slack.com/",
    ),
    _begun(
        "Stripe key",
        _WORD + r"((?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{24,250})" + _END,
        "sk_",
        "rk_",
        "whsec_",
    ),
    _begun("API key", _WORD + r"(sk-(?:proj-|svcacct-|admin-|ant-)?[A-Za-z0-9_-]{32,})", "sk-"),
    _begun("Google key", _WORD + r"(AIza[A-Za-z0-9_-]{35})" + _END, "AIza"),
    _begun("Groq key", _WORD + r"(gsk_[A-Za-z0-9]{40,80})" + _END, "gsk_"),
    _begun("Hugging Face token", _WORD + r"(hf_[A-Za-z0-9]{34,60})" + _END, "hf_"),
    _begun("npm token", _WORD + r"(npm_[A-Za-z0-9]{36})" + _END, "npm_"),
    _begun("PyPI token", _WORD + r"(pypi-[A-Za-z0-9_-]{50,})", "pypi-"),
    _begun(
        "SendGrid key", _WORD + r"(SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64})" + _END, "SG."
    ),
    _pattern(
        "Azure storage key", r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{42,88}={0,2})", "Key="
    ),
    _begun(
        "JSON Web Token",
        _WORD + r"(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,})",
        "eyJ",
    ),
    _begun("Hearth token", _WORD + r"(hearth_[0-9a-f]{12}_[A-Za-z0-9_-]{20,})", "hearth_"),
    _pattern(
        "password in a URL",
        r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'<>{}$]{0,100}:([^\s:/@\"'<>{}$]{3,200})@",
        "://",
    ),
    _pattern(
        "password",
        r"(?i:(?:(?<![a-z])|(?<=\\[abfnrtv0]))"
        r"(?:password|passwd|secret|api_?key|access_?token|auth_?token))"
        rf"(?:{_QUOTE})?\s{{0,4}}[:=]\s{{0,4}}{_QUOTE}([^\s\"'{{}}$<>]{{8,200}}?){_QUOTE}",
        "=",
        ":",
    ),
)


def mask(text: str, found: Counter[str]) -> str:
    """The text with each secret's kind in its place; `found` counts them by kind.

    No step of a long text takes long, so that other threads go on meanwhile: `re` lets none in.
    """
    for known in PATTERNS:
        if known.is_begun:
            for hint in known.hints:
                text = _replaced(known.kind, _matches_at(known.pattern, hint, text), text, found)
        elif any(hint in text for hint in known.hints):
            text = _replaced(known.kind, _matches(known.pattern, text), text, found)
    return text


def _matches_at(pattern: re.Pattern[str], hint: str, text: str) -> Iterator[re.Match[str]]:
    at = text.find(hint)
    while at >= 0:
        match = pattern.match(text, at)
        if match:
            yield match
        at = text.find(hint, match.end() if match else at + 1)


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """As `finditer`, a piece of the text at a time."""
    at = 0
    while at < len(text):
        end = at + _STEP_CHARS
        match = pattern.search(text, at, end + _LONGEST_CHARS)
        if match and match.start() < end:
            yield match
            end = match.end()
        at = end


def _replaced(kind: str, matches: Iterable[re.Match[str]], text: str, found: Counter[str]) -> str:
    pieces: list[str] = []
    told = 0
    for match in matches:
        pieces += (text[told : match.start()], _masked(kind, found, match))
        told = match.end()
    return "".join([*pieces, text[told:]])


def _masked(kind: str, found: Counter[str], match: re.Match[str]) -> str:
    found[kind] += 1
    start, end = match.span(1)
    whole, offset = match.group(0), match.start(0)
    return f"{whole[: start - offset]}[masked {kind}]{whole[end - offset :]}"
