"""The toolbox as the plugin's agent reads it: a YAML text within the caps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from services.cluster.toolbox import Selection, ToolboxCommand
from services.gateway.toolbox.commands import ListedCommand

# JSON is YAML but for these: YAML takes them for breaks of lines, or for nothing it may read.
_UNREADABLE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")


def customization(commands: Iterable[ListedCommand]) -> str:
    """Those that are switched on. The agent adds them to its own, or puts them in their place."""
    wanted = {each.command.name: _command(each.command) for each in commands if each.enabled}
    text = json.dumps({"toolbox_commands": wanted}, ensure_ascii=False)
    return _UNREADABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _command(command: ToolboxCommand) -> dict[str, object]:
    is_needed = command.selection is Selection.NEEDED
    return {
        "description": command.description,
        "selection_needed": [command.min_lines, command.max_lines] if is_needed else [],
        "selection_unwanted": command.selection is Selection.UNWANTED,
        "messages": [message.model_dump() for message in command.messages],
    }
