"""What every process tells about itself: who it is, its settings without secrets, its log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import SecretStr

from services.cluster.pb.v1 import process_pb2 as pb
from services.cluster.pb.v1 import process_pb2_grpc as rpc
from services.cluster.records import ProcessRecord
from services.cluster.settings import ENV_PREFIX, ClusterSettings

_DEFAULT_LINES = 200
_MAX_LINES = 10_000
_POLL_SECONDS = 0.5
_HIDDEN_SETTINGS = {"redis_url"}  # may carry a password


class ProcessServicer(rpc.ProcessServicer):
    """`log_name` is the service's name in the logs folder."""

    def __init__(self, record: ProcessRecord, settings: ClusterSettings, log_name: str) -> None:
        self._record = record
        self._settings = settings
        self._log = settings.data_dir / "logs" / f"{log_name}.log"

    async def GetProcess(self, request: pb.GetProcessRequest, context: object) -> pb.ProcessInfo:
        started_at = Timestamp()
        started_at.FromMicroseconds(int(self._record.started_at * 1e6))
        return pb.ProcessInfo(
            process_id=self._record.process_id,
            service=self._record.service,
            host_id=self._record.host_id,
            version=self._record.version,
            pid=self._record.pid,
            started_at=started_at,
        )

    async def GetSettings(
        self, request: pb.GetSettingsRequest, context: object
    ) -> pb.ProcessSettings:
        return pb.ProcessSettings(
            settings=[
                self._setting(name, getattr(self._settings, name))
                for name in type(self._settings).model_fields
            ]
        )

    def _setting(self, name: str, value: object) -> pb.ProcessSetting:
        is_default = name not in self._settings.model_fields_set
        secret = isinstance(value, SecretStr) or name in _HIDDEN_SETTINGS
        return pb.ProcessSetting(
            name=f"{ENV_PREFIX}{name.upper()}",
            value="(hidden)" if secret and not is_default else "" if secret else str(value),
            is_default=is_default,
        )

    async def ReadLog(
        self, request: pb.ReadLogRequest, context: object
    ) -> AsyncIterator[pb.LogLines]:
        num_lines = min(request.num_lines or _DEFAULT_LINES, _MAX_LINES)
        lines, position = await asyncio.to_thread(_tail, self._log, num_lines)
        yield pb.LogLines(lines=lines)
        while request.follow:
            await asyncio.sleep(_POLL_SECONDS)
            new, position = await asyncio.to_thread(_since, self._log, position)
            if new:
                yield pb.LogLines(lines=new)


def _tail(place: Path, num_lines: int) -> tuple[list[str], int]:
    if not place.exists():
        return [], 0
    with place.open(errors="replace") as file:
        lines = deque((line.rstrip("\n") for line in file), maxlen=num_lines)
        return list(lines), place.stat().st_size


def _since(place: Path, position: int) -> tuple[list[str], int]:
    """Whole lines after `position`; from the start when the file was rotated and is shorter."""
    if not place.exists():
        return [], 0
    with place.open("rb") as file:
        file.seek(position if place.stat().st_size >= position else 0)
        start = file.tell()
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), start + len(whole)
