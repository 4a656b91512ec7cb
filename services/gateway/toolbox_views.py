"""The commands of the toolbox as /api/v1 takes and shows them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from services.cluster.errors import BadRequest
from services.cluster.toolbox import PromptMessage, Selection, ToolboxCommand
from services.gateway.request_body import Body
from services.gateway.toolbox.commands import ListedCommand, Origin
from services.gateway.toolbox.placeholders import check_placeholders
from services.gateway.views import View

NAME = re.compile(r"[a-z0-9-]{1,40}")
_MAX_LINES = 10_000
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class NewPromptMessage(PromptMessage):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    content: Annotated[str, StringConstraints(min_length=1, max_length=8000)]


class WantedCommand(Body):
    """A whole command.

    `selection`: of code in the editor; one that is `needed` has `min_lines` to `max_lines` lines.
    `edition`: that of the command which the writer has seen, 0 for a new one or one that was never
    changed; when it is another by now, nothing is written.
    """

    label: Annotated[Words, StringConstraints(max_length=60)]
    description: Annotated[Words, StringConstraints(max_length=200)]
    selection: Annotated[Selection, Field(strict=False)] = Selection.NEEDED
    min_lines: int = Field(0, ge=0, le=_MAX_LINES)
    max_lines: int = Field(0, ge=0, le=_MAX_LINES)
    messages: list[NewPromptMessage] = Field(min_length=1, max_length=8)
    enabled: bool = True
    edition: int = Field(ge=0)

    def command(self, name: str) -> ToolboxCommand:
        """Raises BadRequest for what no plugin could run."""
        if not NAME.fullmatch(name):
            raise BadRequest(
                f"{name[:60]!r} can not be the name of a command: write 1 to 40 of the characters"
                " a-z, 0-9 and -.",
                param="name",
            )
        self._check_lines()
        if self.messages[-1].role != "user":
            raise BadRequest("The last message must be one of the user.", param="messages")
        for number, message in enumerate(self.messages):
            check_placeholders(message.content, f"messages.{number}.content")
        return ToolboxCommand(
            name=name,
            label=self.label,
            description=self.description,
            selection=self.selection,
            min_lines=self.min_lines,
            max_lines=self.max_lines,
            messages=tuple(PromptMessage(**message.model_dump()) for message in self.messages),
        )

    def _check_lines(self) -> None:
        least, most = self.min_lines, self.max_lines
        if self.selection is Selection.NEEDED and not 1 <= least <= most:
            raise BadRequest(
                f"A selection that is needed has min_lines of at least 1 and no more than"
                f" max_lines; these are {least} and {most}.",
                param="min_lines",
            )
        if self.selection is not Selection.NEEDED and (least or most):
            raise BadRequest(
                "min_lines and max_lines are for a selection that is needed; leave them out.",
                param="min_lines",
            )


class ToolboxCommandView(View):
    """`origin`: comes along, changed, or added. `edition` goes into the next change of it."""

    name: str
    label: str
    description: str
    selection: Selection
    min_lines: int
    max_lines: int
    messages: list[PromptMessage]
    origin: Origin
    enabled: bool
    edition: int

    @classmethod
    def of(cls, listed: ListedCommand) -> ToolboxCommandView:
        return cls(
            **listed.command.model_dump(),
            origin=listed.origin,
            enabled=listed.enabled,
            edition=listed.edition,
        )
