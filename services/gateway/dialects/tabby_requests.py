"""Tabby's request of a completion. Null is absent, unknown is ignored."""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Snippet(BaseModel):
    """Code from elsewhere. `filepath` is relative to the project, or a URI outside of it."""

    model_config = ConfigDict(extra="ignore")

    filepath: str = ""
    body: str


class Segments(BaseModel):
    """What stands around the cursor, and what the editor thinks has to do with it.

    The clipboard, the file's own path, its repository and the history of its edits are not used.
    """

    model_config = ConfigDict(extra="ignore")

    prefix: str
    suffix: str | None = None
    declarations: list[Snippet] | None = None
    relevant_snippets_from_changed_files: list[Snippet] | None = None
    relevant_snippets_from_recently_opened_files: list[Snippet] | None = None

    def snippets(self) -> list[Snippet]:
        """The most telling first."""
        lists = (
            self.declarations,
            self.relevant_snippets_from_changed_files,
            self.relevant_snippets_from_recently_opened_files,
        )
        return list(chain.from_iterable(found or [] for found in lists))

    @property
    def has_crlf(self) -> bool:
        return "\r\n" in self.prefix or "\r\n" in (self.suffix or "")


class TabbyCompletionRequest(BaseModel):
    """`language` is an editor's identifier of one, such as `typescriptreact`."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    language: str = ""
    segments: Segments
    mode: Literal["standard"] = "standard"
    temperature: float = Field(0.1, ge=0, le=2)
    seed: int | None = Field(None, ge=0, lt=2**64)
    stream: bool = False
    debug_options: dict[str, Any] = {}

    @field_validator("stream")
    @classmethod
    def _never_streams(cls, value: bool) -> bool:
        if value:
            raise ValueError("a completion with segments is answered whole; leave stream out")
        return value

    @field_validator("debug_options")
    @classmethod
    def _none_is_wanted(cls, value: dict[str, Any]) -> dict[str, Any]:
        if wanted := [name for name, choice in value.items() if choice]:
            raise ValueError(f"{', '.join(wanted)[:200]} is not offered; leave debug_options out")
        return value
