"""Files of a repository as token ids, in the form that a model's family was taught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.cluster.fim import FimFamily, RepositoryForm
from services.inference.tokenization import Tokenizer


@dataclass(frozen=True)
class RepositoryFiles:
    """`files` are paths and texts, the most telling first. `path` is of the file at the cursor.

    `repository` and `path` are "" where they are not known.
    """

    files: Sequence[tuple[str, str]]
    repository: str = ""
    path: str = ""


@dataclass(frozen=True)
class RepositoryPrompt:
    """`head` stands before the rest, which is built in `order`; `path` are the ids of "{path}"."""

    head: list[int]
    order: tuple[str, ...]
    path: list[int]


def repository_prompt(
    tokenizer: Tokenizer, fim: FimFamily, shown: RepositoryFiles, room: int
) -> RepositoryPrompt:
    """With as many whole files as `room` tokens hold, the first ones first; without any it is the
    family's plain prompt.
    """
    plain = RepositoryPrompt([], fim.order, [])
    form = fim.repository
    if form is None or not tokenizer.special_tokens.keys() >= set(form.tokens):
        return plain
    # Everything but the files: what they must leave room for.
    most_bytes = room * tokenizer.longest_token_bytes
    if len(shown.repository.encode()) + len(shown.path.encode()) > most_bytes:
        return plain
    head, path = _name(tokenizer, form, shown.repository), _line(tokenizer, shown.path)
    left = room - len(head) - len(path) - (len(form.cursor) - len(fim.order))
    files: list[int] = []
    for place, text in shown.files:
        if len(place) + len(text) > left * tokenizer.longest_token_bytes:
            continue  # it would take long to learn that it does not fit
        if len(ids := _file(tokenizer, form, place, text)) <= left:
            files += ids
            left -= len(ids)
    return RepositoryPrompt(head + files, form.cursor, path) if files else plain


def _name(tokenizer: Tokenizer, form: RepositoryForm, name: str) -> list[int]:
    if not name:
        return []
    return [
        tokenizer.special_tokens[form.name_token],
        *tokenizer.encode_plain(name + form.line_end),
    ]


def _file(tokenizer: Tokenizer, form: RepositoryForm, path: str, text: str) -> list[int]:
    end = "" if text.endswith("\n") else form.line_end
    return [
        tokenizer.special_tokens[form.file_token],
        *tokenizer.encode_plain(f"{path}\n{text}{end}"),
    ]


def _line(tokenizer: Tokenizer, path: str) -> list[int]:
    return tokenizer.encode_plain(f"{path}\n") if path else []
