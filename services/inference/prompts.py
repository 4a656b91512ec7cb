"""What a request asks to continue, as token ids: text, chat, or a cursor between two texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.cluster.errors import BadRequest, ContextLengthExceeded
from services.cluster.fim import FimFamily, family_named, recognise
from services.inference.engines.chat import ChatOptions
from services.inference.repository_prompt import RepositoryFiles, repository_prompt
from services.inference.tokenization import Tokenizer, split_at, well_formed

_DEFAULT_FIM_TOKENS = 256  # room for the answer when a request sets no max_tokens
_SUFFIX_SHARE = 0.25  # of the room, at least; more only where the prefix leaves it free


@dataclass(frozen=True)
class BuiltPrompt:
    """`stop_token_ids` end the generation beside those of the request.

    `chat` is what a chat asks of its answer, `images` are its files.
    """

    token_ids: Sequence[int]
    text: str = ""
    stop_token_ids: tuple[int, ...] = ()
    chat: ChatOptions | None = None
    images: Sequence[bytes] = ()


class Prompts:
    """Builds prompts for one model. Errors are BadRequest with the field in `param`."""

    def __init__(
        self, tokenizer: Tokenizer, context_tokens: int, fim_family: str | None = None
    ) -> None:
        """`fim_family`: "" for none, None for the one whose tokens the tokenizer has."""
        self.fim = _family(tokenizer, fim_family)
        self._tokenizer = tokenizer
        self._context_tokens = context_tokens
        self._max_bytes = context_tokens * tokenizer.longest_token_bytes
        self._fim_stops = self.fim.stop_token_ids(tokenizer.special_tokens) if self.fim else ()

    def from_text(self, text: str) -> BuiltPrompt:
        self._check_size([text], "prompt")
        token_ids = self._tokenizer.encode(text)
        return BuiltPrompt(token_ids, text, self._stops_after(token_ids))

    def from_tokens(self, token_ids: Sequence[int]) -> BuiltPrompt:
        if beyond := [i for i in token_ids if i >= self._tokenizer.num_tokens]:
            raise BadRequest(
                f"Token id {beyond[0]} is outside the vocabulary of"
                f" {self._tokenizer.num_tokens} tokens.",
                param="prompt",
            )
        return BuiltPrompt(token_ids, "", self._stops_after(token_ids))

    def from_cursor(
        self,
        prefix: str,
        suffix: str,
        max_tokens: int | None,
        shown: RepositoryFiles = RepositoryFiles(()),  # noqa: B008 it is frozen
    ) -> BuiltPrompt:
        """Fill-in-the-middle. What does not fit is cut at the ends that are far from the cursor;
        `shown` gets the room that both leave.
        """
        if self.fim is None:
            raise BadRequest(
                "This model has no fill-in-the-middle tokens: send a prompt without suffix.",
                param="suffix",
            )
        tokenizer, fim = self._tokenizer, self.fim
        before = tokenizer.encode_plain(last_bytes(prefix, self._max_bytes))
        after = tokenizer.encode_plain(first_bytes(suffix, self._max_bytes))
        answer = min(max_tokens or _DEFAULT_FIM_TOKENS, self._context_tokens // 2)
        room = max(self._context_tokens - answer - len(fim.tokens), 0)
        before, after = cut_around_cursor(before, after, room)
        built = repository_prompt(tokenizer, fim, shown, room - len(before) - len(after))
        parts = {"{path}": built.path, "{prefix}": before, "{suffix}": after}
        token_ids = built.head
        for part in built.order:
            token_ids += parts[part] if part in parts else [tokenizer.special_tokens[part]]
        return BuiltPrompt(token_ids, "", self._fim_stops)

    def from_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> BuiltPrompt:
        """`options` are names that the chat template knows beside messages and tools."""
        template = self._tokenizer.chat_template
        if template is None:
            raise BadRequest("This model has no chat template; use completions.", param="model")
        if not messages:
            raise BadRequest("A chat needs at least one message.", param="messages")
        self._check_size(list(_texts(messages)), "messages")
        special_tokens = self._tokenizer.special_tokens
        text, mark = template.render(messages, tools, list(special_tokens), options)
        shown = text.replace(mark, "") if mark else text
        self._check_size([shown], "messages")
        if not mark:
            return BuiltPrompt(self._tokenizer.encode(text), text)
        parts = [
            (part if special else part.replace(mark, ""), special)
            for part, special in split_at(text, special_tokens)
        ]
        return BuiltPrompt(self._tokenizer.encode_parts(parts), shown)

    def max_tokens(self, num_prompt_tokens: int, wanted: int | None) -> int:
        """What the context leaves, at most what is wanted. Raises ContextLengthExceeded."""
        left = self._context_tokens - num_prompt_tokens
        if left < 1:
            raise ContextLengthExceeded(
                f"The prompt has {num_prompt_tokens} tokens; this model reads at most"
                f" {self._context_tokens}, one of which must be left for the answer.",
                param="prompt",
            )
        return left if wanted is None else min(wanted, left)

    def _check_size(self, texts: Sequence[str], param: str) -> None:
        """Raises ContextLengthExceeded for what cannot fit, before it takes seconds to tokenize."""
        num_bytes = sum(len(well_formed(text).encode()) for text in texts)
        if num_bytes > self._max_bytes:
            raise ContextLengthExceeded(
                f"The prompt has {num_bytes} bytes; this model reads at most"
                f" {self._context_tokens} tokens, which are never more than {self._max_bytes}"
                " bytes.",
                param=param,
            )

    def _stops_after(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """A prompt that a client built with the family's tokens ends as one that we built."""
        if self.fim and self._tokenizer.special_tokens[self.fim.cursor_token] in token_ids:
            return self._fim_stops
        return ()


def _family(tokenizer: Tokenizer, name: str | None) -> FimFamily | None:
    own = tokenizer.special_tokens
    family = recognise(own) if name is None else family_named(name)
    return family if family and own.keys() >= set(family.tokens) else None


def last_bytes(text: str, num_bytes: int) -> str:
    """The end of a text: whole characters, in UTF-8 at most so many bytes. At least 1 is asked."""
    end = well_formed(text[-num_bytes:]).encode()
    return end[-num_bytes:].decode(errors="ignore")


def first_bytes(text: str, num_bytes: int) -> str:
    start = well_formed(text[:num_bytes]).encode()
    return start[:num_bytes].decode(errors="ignore")


def cut_around_cursor(
    before: list[int], after: list[int], room: int
) -> tuple[list[int], list[int]]:
    """The end of `before` and the start of `after`, together at most `room` tokens.

    The suffix gets its share of the room, and more only of what the prefix does not need.
    """
    if len(before) + len(after) <= room:
        return before, after
    share = int(room * _SUFFIX_SHARE)
    num_after = min(len(after), max(share, room - len(before)))
    num_before = min(len(before), room - num_after)
    return before[len(before) - num_before :], after[:num_after]


def _texts(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message["content"]
        if isinstance(content, str):
            yield content
        else:
            yield from (part.get("text", "") for part in content)
