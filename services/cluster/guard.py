"""No process of an engine or a trainer outlives the one that started it, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int | None = None) -> None:
    """The kernel kills this process when its parent, or the parent's starting thread, ends.

    `parent_pid` closes the gap before the call: when it is not the parent any more, the process
    ends here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent_pid not in (None, os.getppid()):
        os.kill(os.getpid(), signal.SIGKILL)
