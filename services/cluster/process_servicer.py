"""What every process tells about itself: who it is, its settings without secrets, its log."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import SecretStr

from services.cluster.log_file import read_log
from services.cluster.pb.v1 import process_pb2 as pb
from services.cluster.pb.v1 import process_pb2_grpc as rpc
from services.cluster.records import ProcessRecord
from services.cluster.settings import ENV_PREFIX, ClusterSettings

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
        async for lines in read_log(self._log, request.num_lines, follow=request.follow):
            yield pb.LogLines(lines=lines)
