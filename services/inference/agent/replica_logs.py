"""The logs of replicas that run or ran on this host."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from pathlib import Path

from services.cluster.errors import BadRequest, NotFound
from services.cluster.log_file import read_log

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ReplicaLogs:
    """`folder` has for each replica its log, and what its process printed."""

    def __init__(self, folder: Path, host_id: str) -> None:
        self._folder = folder
        self._host_id = host_id

    def printed(self, replica_id: str) -> Path:
        return self._folder / f"replica-{replica_id}.out"

    async def read(
        self, replica_id: str, num_lines: int, *, follow: bool, printed: bool
    ) -> AsyncGenerator[list[str]]:
        """As `read_log`. Raises BadRequest for what is no id, and NotFound."""
        if not _ID.fullmatch(replica_id):
            raise BadRequest(f"{replica_id!r} is no replica id.", param="replica_id")
        output = self.printed(replica_id)
        if not output.exists():  # its process has one from its first moment on
            raise NotFound(f"No replica {replica_id} has run on host {self._host_id}.")
        place = output if printed else output.with_name(f"replica-{replica_id}.log")
        async for lines in read_log(place, num_lines, follow=follow):
            yield lines
