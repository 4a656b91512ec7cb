"""`python -m services.finetune.trainer ORDER PARENT_PID`: one attempt of a run, a child process.

It writes messages to the descriptor that was its standard output; whatever else is printed goes to
standard error. SIGTERM: a checkpoint after the step that runs, then the end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from services.cluster.guard import die_with_parent


def main() -> int:
    die_with_parent(int(sys.argv[2]))
    output = os.dup(1)
    os.dup2(2, 1)
    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told_to_stop.append(number))
    from services.finetune.trainer.attempt import run_attempt  # torch: seconds, after the guard

    return run_attempt(Path(sys.argv[1]), output, lambda: bool(told_to_stop))


if __name__ == "__main__":
    raise SystemExit(main())
