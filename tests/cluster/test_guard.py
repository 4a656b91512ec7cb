from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "vllm", "transformers", "grpc", "pydantic", "asyncio")
# What vLLM does: it spawns a process that imports the guard, among much else.
SPAWNS = """
import multiprocessing, time

def work(pipe):
    from services.inference.engines import worker_guard
    pipe.send(worker_guard.WorkerGuard.__name__)
    time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=work, args=(theirs,))
    worker.start()
    print(worker.pid, ours.recv(), flush=True)
    time.sleep(60)
"""
# What a replica does to itself, told its agent's pid.
GUARDED = 'from services.cluster import guard; guard.die_with_parent({pid}); print("ok")'


def test_a_spawned_process_dies_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "spawns.py"
    script.write_text(SPAWNS)
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid, word = parent.stdout.readline().split()
    assert word == "WorkerGuard"
    worker = psutil.Process(int(pid))
    parent.kill()
    parent.wait()
    psutil.wait_procs([worker], timeout=5)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("pid", "status", "printed"),
    [(os.getpid(), 0, "ok\n"), (1, -signal.SIGKILL, "")],
    ids=["the parent", "another"],
)
def test_a_process_whose_parent_has_gone_already_ends(pid: int, status: int, printed: str) -> None:
    """1 stands for a parent that was replaced by another before the kernel was asked."""
    done = subprocess.run(
        [sys.executable, "-c", GUARDED.format(pid=pid)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (status, printed)


def test_the_guard_comes_with_nothing_heavy() -> None:
    """Every process that vLLM spawns imports these modules before anything else."""
    code = f"""
import sys, services.inference.replica, services.cluster.guard
print([module for module in sys.modules if module in {HEAVY}])"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
