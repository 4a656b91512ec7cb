"""`python -m services.cluster.artifacts.collect [--delete] [--grace-hours N]` collects garbage.

Without --delete it only says what would go.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from services.cluster.artifacts.disk_space import readable_size
from services.cluster.artifacts.garbage import GRACE_SECONDS, MIN_GRACE_SECONDS
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.references import read_references
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.artifacts.sweeper import Refuse, Sweeper
from services.cluster.errors import Conflict, HearthError
from services.cluster.settings import LocationSettings, load, own_redis_url
from services.cluster.store.connection import Store

_HOUR = 3600.0


async def collect(
    store: Store, artifacts: ArtifactStore, *, delete: bool, grace_seconds: float = GRACE_SECONDS
) -> list[Refuse]:
    """What went, or would go.

    Raises StoreUnavailable, and Conflict for a Redis that is empty or has unreadable records.
    """
    manifests = [m for kind in ArtifactKind for m in artifacts.manifests(kind)]
    try:
        references = await read_references(store, manifests)
    except (ValueError, KeyError) as error:
        raise Conflict(
            f"A record in Redis cannot be read ({error}), so what it names is not known. Nothing"
            " was deleted. Restore a backup, or start the Hearth that wrote it."
        ) from error
    sweeper = Sweeper(artifacts, references.by_kind, references.live_jobs, grace_seconds)
    if not delete:
        return await asyncio.to_thread(sweeper.dry_run)
    if manifests and not references.num_records:
        raise Conflict(
            f"Redis has no record at all, and {artifacts.root} has {len(manifests)} artifacts: this"
            " is another Redis than theirs, or one that lost its records. Nothing was deleted. Set"
            " HEARTH_REDIS_URL and HEARTH_DATA_DIR to what belongs together, or restore a backup."
        )
    return await asyncio.to_thread(sweeper.sweep)


def table(refuse: Sequence[Refuse], *, delete: bool) -> str:
    """Lines for a person: each thing, its size and age, why it goes, and the total."""
    lines = [
        f"{readable_size(r.size_bytes):>11}  {r.age_seconds / _HOUR:8.1f} h  {r.place}: {r.reason}"
        for r in refuse
    ]
    total = readable_size(sum(r.size_bytes for r in refuse))
    if delete:
        lines.append(f"{len(refuse)} deleted, {total} freed.")
    else:
        lines.append(f"{len(refuse)} would be deleted, {total} freed. Nothing was: add --delete.")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.cluster.artifacts.collect")
    parser.add_argument("--delete", action="store_true", help="delete, and not only say what")
    parser.add_argument(
        "--grace-hours",
        type=float,
        default=GRACE_SECONDS / _HOUR,
        metavar="N",
        help="what is younger stays; at least 1 (default: %(default)g)",
    )
    options = parser.parse_args(arguments)
    if not options.grace_hours >= MIN_GRACE_SECONDS / _HOUR:
        parser.error(
            "--grace-hours must be 1 or more: what is published is recorded a little later"
        )
    try:
        print(asyncio.run(_run(options.delete, options.grace_hours * _HOUR)))  # noqa: T201
    except HearthError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _run(delete: bool, grace_seconds: float) -> str:
    settings = load(LocationSettings)
    data_dir = settings.data_dir.resolve()
    store = await Store.connect(settings.redis_url or own_redis_url(data_dir))
    try:
        gone = await collect(
            store, ArtifactStore(data_dir), delete=delete, grace_seconds=grace_seconds
        )
    finally:
        await store.close()
    return table(gone, delete=delete)


if __name__ == "__main__":
    raise SystemExit(main())
