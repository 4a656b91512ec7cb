"""One JSON object a line, to stderr and to logs/SERVICE.log of the data volume."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from typing import Any

from services.cluster.settings import ClusterSettings

request_id_var: ContextVar[str] = ContextVar("request_id", default="")
job_id_var: ContextVar[str] = ContextVar("job_id", default="")

_PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LOG_FILE_BYTES = 32 * 1024 * 1024
_NUM_OLD_FILES = 4


class JsonFormatter(logging.Formatter):
    """The record's message, its `extra`, and the request and job that the line belongs to."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := request_id_var.get():
            line["request_id"] = request_id
        if job_id := job_id_var.get():
            line["job_id"] = job_id
        line |= {k: v for k, v in vars(record).items() if k not in _PLAIN_ATTRIBUTES}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(service: str, settings: ClusterSettings) -> None:
    """Sends every logger of the process to stderr and to the service's log file."""
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    formatter = JsonFormatter(service)
    handlers: list[logging.Handler] = [
        logging.StreamHandler(sys.stderr),
        RotatingFileHandler(
            folder / f"{service}.log", maxBytes=_LOG_FILE_BYTES, backupCount=_NUM_OLD_FILES
        ),
    ]
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    logging.captureWarnings(True)
    for chatty in ("httpx", "httpx2", "httpcore", "asyncio", "grpc._cython.cygrpc"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.root.level))
