"""A model's own chat template, rendered as transformers renders it."""

from __future__ import annotations

import json
import re
import secrets
import string
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.cluster.errors import BadRequest

_FILE = "chat_template.jinja"
_JSON_FILE = "chat_template.json"  # of processors, before there was the other
_MARK_LETTERS = 16
_OWN_NAMES = frozenset({"messages", "tools", "add_generation_prompt"})
_REFUSALS = (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError, RecursionError)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own escapes characters of HTML, which no model was trained on."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


class _Generation(Extension):
    """{% generation %} marks for training what the model says; in a prompt it is only its body."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """Raises BadRequest for a template that is none, and for messages that it refuses."""

    def __init__(self, source: str, tokens: Mapping[str, str]) -> None:
        """`tokens`: names such as bos_token that the template may use, with their texts."""
        self.source = source
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = time.strftime
        self._tokens = tokens
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise BadRequest(f"The model's chat template cannot be read: {error}.") from error
        except RecursionError:
            raise BadRequest("The model's chat template is nested too deeply to be one.") from None

    @classmethod
    def of(cls, folder: Path, config: Mapping[str, Any], given: str = "") -> ChatTemplate | None:
        """The given one, else that of a model folder, whose tokenizer_config.json is `config`."""
        source = given or _source(folder, config)
        if isinstance(source, list):  # several named ones
            named = [item for item in source if isinstance(item, dict)]
            source = next((i.get("template") for i in named if i.get("name") == "default"), None)
        if not isinstance(source, str) or not source:
            return None
        texts = {
            name: value.get("content") if isinstance(value, dict) else value
            for name, value in config.items()
            if name.endswith("_token")
        }
        tokens = {name: text for name, text in texts.items() if isinstance(text, str)}
        return cls(source, tokens)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        special_tokens: Sequence[str],
        options: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """The prompt with the generation prompt, and "" or a mark. `options` are more names.

        The mark breaks the special tokens that users wrote: taken out of the text, it is as they
        meant it; with it, the text holds the template's own special tokens only.
        """
        if own := sorted((options or {}).keys() & (_OWN_NAMES | self._tokens.keys())):
            raise BadRequest(
                f"chat_template_kwargs may not set {own[0]}.", param="chat_template_kwargs"
            )
        breaker = _Breaker(special_tokens)
        try:
            text = self._template.render(
                **self._tokens,
                **breaker.through(options or {}),
                messages=breaker.through(list(messages)),
                tools=breaker.through(list(tools)) if tools else None,
                add_generation_prompt=True,
            )
        except _REFUSALS as error:
            raise BadRequest(
                f"The model's chat template refuses these messages: {error}.", param="messages"
            ) from error
        return text, breaker.mark


def _text_of(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{place.name} is not UTF-8: {error}.") from error


def _template_of(place: Path) -> object:
    try:
        found = json.loads(_text_of(place))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{place.name} is not JSON: {error}.") from error
    return found.get("chat_template") if isinstance(found, dict) else None


def _source(folder: Path, config: Mapping[str, Any]) -> object:
    if (folder / _FILE).is_file():
        return _text_of(folder / _FILE)
    source: object = config.get("chat_template")
    if not source and (folder / _JSON_FILE).is_file():
        return _template_of(folder / _JSON_FILE)
    return source


class _Breaker:
    """Copies JSON values, with every special token inside their texts broken by `mark`."""

    def __init__(self, special_tokens: Sequence[str]) -> None:
        longest_first = sorted(special_tokens, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        self._special_tokens = special_tokens
        self._pattern = re.compile(pattern) if pattern else None
        self.mark = ""

    def through(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self.through(key): self.through(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.through(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if self._pattern is None or not self._pattern.search(text):
            return text
        self.mark = self.mark or self._new_mark()
        # After each character, so that no other token is left in it or begins at its end.
        return self._pattern.sub(lambda found: "".join(c + self.mark for c in found[0]), text)

    def _new_mark(self) -> str:
        """Nobody can guess it, so it is in no message; letters, which no template escapes."""
        while True:
            mark = "".join(secrets.choice(string.ascii_letters) for _ in range(_MARK_LETTERS))
            if not any(token in mark for token in self._special_tokens):
                return mark
