"""A Redis of a test's own, started by the product's command, that can be killed and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from services.cluster import redis_server


class RedisProcess:
    def __init__(self, data_dir: Path) -> None:
        self._command, self.url = redis_server.prepare(data_dir)
        self._process = self._started()

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Again, after `kill`. It reads its files first."""
        self._process = self._started()

    def stop(self) -> None:
        """kill -STOP: connections stay open, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
