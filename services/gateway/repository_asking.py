"""Files of the caller's repository beside a cursor, from a source that is asked within limits.

The replica writes them in the family's own form (services/cluster/fim.py) and leaves out what does
not fit. Nothing waits for a source, and nothing fails with it: without its answer the prompt is the
one that the client sent.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from services.cluster.fim import family_named
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.records import ReplicaRecord
from services.gateway.auth import Caller
from services.gateway.generation import Generation
from services.gateway.metrics import REPOSITORY_CONTEXT
from services.gateway.repository_context import RepositoryContext, RepositoryFiles

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.05
_SHARE = 0.5  # of what prefix, suffix and answer leave of the context
_MIN_TOKENS = 64  # for less, nobody is asked
_DEFAULT_ANSWER_TOKENS = 256  # as the replica has it
_CHARS_A_TOKEN = 3  # of code, so that prefix and suffix are rather overrated
_MAX_CHARS_A_TOKEN = 8  # of an answer: what is longer would not fit, and is not sent


async def with_context(
    source: RepositoryContext | None,
    caller: Caller,
    replica: ReplicaRecord,
    generations: list[Generation],
) -> list[Generation]:
    """The same generations; the fill-in-the-middle ones with what the source gave in time."""
    if source is None or not _can_show_files(replica):
        return generations
    shown: dict[tuple[str, str], RepositoryFiles] = {}  # several answers have one prompt
    changed = []
    for generation in generations:
        cursor = generation.prompt.fill_in_the_middle
        num_tokens = _num_tokens(generation, replica.context_tokens)
        if generation.prompt.HasField("fill_in_the_middle") and num_tokens >= _MIN_TOKENS:
            key = (cursor.prefix, cursor.suffix)
            if key not in shown:
                shown[key] = await _asked(source, caller, *key, num_tokens)
            if shown[key].files:
                prompt = _prompt(cursor, shown[key], num_tokens)
                generation = replace(generation, prompt=prompt)
        changed.append(generation)
    return changed


async def _asked(
    source: RepositoryContext, caller: Caller, prefix: str, suffix: str, num_tokens: int
) -> RepositoryFiles:
    """Nothing, when the source is late or fails: it is not waited for, not even for its end."""
    task = asyncio.ensure_future(source.files(caller, prefix, suffix, num_tokens))
    try:
        done, _ = await asyncio.wait({task}, timeout=WAIT_SECONDS)
    finally:
        task.add_done_callback(_note_failure)
        task.cancel()
    if not done:
        REPOSITORY_CONTEXT.labels("late").inc()
        return RepositoryFiles()
    if task.cancelled() or task.exception() is not None:
        REPOSITORY_CONTEXT.labels("failed").inc()
        return RepositoryFiles()
    found = task.result()
    REPOSITORY_CONTEXT.labels("given" if found.files else "empty").inc()
    return found


def _note_failure(task: asyncio.Future[RepositoryFiles]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("repository context failed", exc_info=error)


def _prompt(cursor: pb.FillInTheMiddle, shown: RepositoryFiles, num_tokens: int) -> pb.Prompt:
    left = num_tokens * _MAX_CHARS_A_TOKEN
    files = []
    for file in shown.files:
        if (num_chars := len(file.path) + len(file.text)) <= left:
            left -= num_chars
            files.append(pb.RepositoryFile(path=file.path, text=file.text))
    return pb.Prompt(
        fill_in_the_middle=pb.FillInTheMiddle(
            prefix=cursor.prefix,
            suffix=cursor.suffix,
            files=files,
            repository=shown.repository,
            path=shown.path,
        )
    )


def _can_show_files(replica: ReplicaRecord) -> bool:
    family = family_named(replica.fim.family) if replica.fim else None
    return family is not None and family.repository is not None


def _num_tokens(generation: Generation, context_tokens: int) -> int:
    cursor, sampling = generation.prompt.fill_in_the_middle, generation.sampling
    answer = sampling.max_tokens or _DEFAULT_ANSWER_TOKENS
    around = (len(cursor.prefix) + len(cursor.suffix)) // _CHARS_A_TOKEN
    return int(_SHARE * (context_tokens - answer - around))
