"""Where a run keeps what is not an artifact: its journal, its cases, its attempts' own folders."""

from __future__ import annotations

import shutil
from pathlib import Path


class RunFiles:
    """Beside the checkpoints, which are `runs/RUN_ID-ATTEMPT-STEP`."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "runs"

    def folder(self, run_id: str) -> Path:
        return self._root / run_id

    def begin_attempt(self, run_id: str, attempt: int) -> Path:
        """An empty folder for what the attempt writes; those of earlier ones go.

        What they had finished is in the artifact store, and the rest is nobody's.
        """
        for old in self.folder(run_id).glob("attempt-*"):
            shutil.rmtree(old, ignore_errors=True)
        folder = self.folder(run_id) / f"attempt-{attempt}"
        folder.mkdir(parents=True)
        return folder
