"""The commands of the toolbox, and what of them somebody made differ from those that come along."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from services.cluster.records import Record


class Selection(StrEnum):
    """What a command wants of the code that is selected in an editor."""

    NEEDED = "needed"
    OPTIONAL = "optional"
    UNWANTED = "unwanted"


class PromptMessage(BaseModel):
    """A message of a chat. `content` has placeholders, which whoever runs the command fills in."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Literal["system", "user"]
    content: str


class ToolboxCommand(BaseModel):
    """A question about code, by a name that is typed. Lines are 0 unless a selection is needed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    label: str
    description: str
    selection: Selection
    min_lines: int = 0
    max_lines: int = 0
    messages: tuple[PromptMessage, ...]


class ToolboxChange(BaseModel):
    """`command` None: as it comes along. `edition`: that of the toolbox after this change."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    command: ToolboxCommand | None = None
    enabled: bool = True
    edition: int


class ToolboxRecord(Record):
    """Commands that were changed, added or switched off, by name; an upgrade brings new others.

    `edition` grows with each change and never starts again: by it two editors know each other.
    """

    ID: ClassVar[str] = "toolbox"

    edition: int = 0
    changes: Mapping[str, ToolboxChange] = {}

    @property
    def record_id(self) -> str:
        return self.ID

    @property
    def caps_digest(self) -> str:
        return str(self.edition)
