"""The audit log: what happened, who did it, never the text of a request. A file for each day.

One JSON object a line in `audit/` of the data volume. Lines are only ever added, by any number of
gateways: a line is one write to a file that is open for appending (POSIX write(2), O_APPEND).
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from services.cluster.durable_files import make_folder
from services.cluster.errors import OutOfDisk


class Audit:
    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "audit"

    async def write(self, event: str, **facts: Any) -> None:
        """On disk when it returns. Raises OutOfDisk: what cannot be told later must not be done."""
        now = time.time()
        line = json.dumps({"at": round(now, 3), "event": event, **facts}, separators=(",", ":"))
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        try:
            await asyncio.to_thread(self._append, self._folder / f"{day}.jsonl", line)
        except OSError as error:
            raise OutOfDisk(
                f"The audit log cannot be written ({error.strerror}), so this was not done."
            ) from error

    def _append(self, place: Path, line: str) -> None:
        make_folder(place.parent)
        file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            data = f"{line}\n".encode()
            if os.write(file, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(file)
        finally:
            os.close(file)
