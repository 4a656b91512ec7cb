"""What in a prompt is filled in by whoever runs the command: a plugin, or the page of the chat."""

from __future__ import annotations

import re

from services.cluster.errors import BadRequest

# The plugins of Refact know these, and replace each where it stands first in a message.
PLACEHOLDERS = {
    "%CODE_SELECTION%": "the selected code",
    "%CURRENT_FILE%": "the path of the file",
    "%CURSOR_LINE%": "the line of the cursor, from 1",
    "%ARGS%": "what was typed after the command",
}
_ANY = re.compile(r"%[A-Z][A-Z0-9_]*%")


def check_placeholders(content: str, param: str) -> None:
    """Raises BadRequest for one that would stay in the prompt."""
    found = _ANY.findall(content)
    for placeholder in found:
        if placeholder not in PLACEHOLDERS:
            raise BadRequest(
                f"There is no placeholder {placeholder[:50]}; there are {', '.join(PLACEHOLDERS)}.",
                param=param,
            )
        if found.count(placeholder) > 1:
            raise BadRequest(
                f"{placeholder} is in this message twice; plugins fill in the first only. Write it"
                " once.",
                param=param,
            )
