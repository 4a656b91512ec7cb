"""Importing this module ties the process to its parent. vLLM imports it in every worker.

vLLM has no hook that runs early in its processes. `worker_extension_cls` names a class that it
mixes into its worker, and the import is what we are after. Where the worker lives in the engine's
own process (VLLM_ENABLE_V1_MULTIPROCESSING=0), it covers both.
"""

from __future__ import annotations

import multiprocessing

from services.cluster.guard import die_with_parent

if _parent := multiprocessing.parent_process():
    die_with_parent(_parent.pid)


class WorkerGuard:
    """Adds nothing to the worker."""
