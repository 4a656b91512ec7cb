"""The commands of the toolbox: those of commands.toml, and what an administrator made of them.

Pure but for the reading of the table. Only differences are recorded, so that an upgrade brings new
and better commands, and leaves alone what somebody has written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from services.cluster.errors import BadRequest, Conflict, NotFound
from services.cluster.toolbox import ToolboxChange, ToolboxCommand, ToolboxRecord

TABLE = Path(__file__).with_name("commands.toml")
MAX_COMMANDS = 100
MAX_CHARACTERS = 200_000  # of all prompts: every plugin fetches them after each change

_COMMANDS = TypeAdapter(tuple[ToolboxCommand, ...])


class Origin(StrEnum):
    """Of a command: as it comes along, changed, or added by an administrator."""

    DEFAULT = "default"
    CHANGED = "changed"
    ADDED = "added"


@dataclass(frozen=True)
class ListedCommand:
    """`edition` is 0 for what comes along, and otherwise grows with each change."""

    command: ToolboxCommand
    origin: Origin
    enabled: bool = True
    edition: int = 0


def default_commands() -> Mapping[str, ToolboxCommand]:
    """Those of the table, in its order."""
    commands = _COMMANDS.validate_python(tomllib.loads(TABLE.read_text("utf-8"))["commands"])
    return {command.name: command for command in commands}


def listed(
    defaults: Mapping[str, ToolboxCommand], record: ToolboxRecord
) -> Mapping[str, ListedCommand]:
    """Those of the table in its order, then what was added, by name."""
    known = {name: ListedCommand(command, Origin.DEFAULT) for name, command in defaults.items()}
    for name, change in sorted(record.changes.items()):
        command = change.command or defaults.get(name)
        if command is None:  # it came along, was switched off, and comes along no more
            continue
        if name not in defaults:
            origin = Origin.ADDED
        else:
            origin = Origin.DEFAULT if change.command is None else Origin.CHANGED
        known[name] = ListedCommand(command, origin, change.enabled, change.edition)
    return known


def put(
    defaults: Mapping[str, ToolboxCommand],
    record: ToolboxRecord,
    command: ToolboxCommand,
    *,
    enabled: bool,
    edition: int,
) -> ToolboxRecord:
    """The record with this command. `edition`: the one that the writer has seen, 0 for none.

    Raises Conflict where another was faster, BadRequest where it becomes too much.
    """
    name = command.name
    before = listed(defaults, record).get(name)
    if before and (before.command, before.enabled) == (command, enabled):
        return record
    _refuse_older(name, before, edition)
    is_default = command == defaults.get(name)
    change = ToolboxChange(
        command=None if is_default else command, enabled=enabled, edition=record.edition + 1
    )
    others = {known: kept for known, kept in record.changes.items() if known != name}
    changes = others if is_default and enabled else {**others, name: change}
    changed = record.model_copy(update={"edition": record.edition + 1, "changes": changes})
    _refuse_too_much(listed(defaults, changed))
    return changed


def reset(
    defaults: Mapping[str, ToolboxCommand], record: ToolboxRecord, name: str, *, edition: int
) -> ToolboxRecord:
    """The record without what was changed of this command. Raises NotFound, Conflict."""
    before = listed(defaults, record).get(name)
    if before is None:
        raise NotFound(f"There is no command {name[:40]!r} in the toolbox.", param="name")
    if name not in record.changes:
        return record
    _refuse_older(name, before, edition)
    others = {known: kept for known, kept in record.changes.items() if known != name}
    return record.model_copy(update={"edition": record.edition + 1, "changes": others})


def _refuse_older(name: str, before: ListedCommand | None, edition: int) -> None:
    current = before.edition if before else 0
    if edition != current:
        raise Conflict(
            f"Somebody changed the command {name!r} meanwhile: it has edition {current}, and you"
            f" have seen {edition}. Load it again, then change it.",
            param="edition",
        )


def _refuse_too_much(commands: Mapping[str, ListedCommand]) -> None:
    if len(commands) > MAX_COMMANDS:
        raise BadRequest(
            f"The toolbox has {MAX_COMMANDS} commands, which is the most. Remove one first.",
            param="name",
        )
    characters = sum(_characters([each.command]) for each in commands.values())
    if characters > MAX_CHARACTERS:
        raise BadRequest(
            f"All prompts together would have {characters} characters; {MAX_CHARACTERS} are the"
            " most. Shorten one.",
            param="messages",
        )


def _characters(commands: Sequence[ToolboxCommand]) -> int:
    return sum(len(message.content) for command in commands for message in command.messages)
