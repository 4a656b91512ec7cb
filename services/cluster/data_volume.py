"""`python -m services.cluster.data_volume` makes what a data volume needs before its first use.

In containers it runs first and alone; the launcher does the same for a single host.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from services.cluster import durable_files
from services.cluster.errors import Unavailable
from services.cluster.settings import CLUSTER_KEY, ClusterSettings, load

LAUNCHER_LOCK = "launcher.lock"  # in the data volume


@contextlib.contextmanager
def without_launcher(data_dir: Path) -> Iterator[None]:
    """No launcher starts on the volume during the block. Raises Unavailable when one runs."""
    with (data_dir / LAUNCHER_LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"Hearth starts or stops on {data_dir} at this moment; try again."
            ) from None
        yield


def ensure_cluster_key(data_dir: Path) -> None:
    """Makes the secret that processes show each other, readable by their user only."""
    place = data_dir / CLUSTER_KEY
    if not place.exists() or not place.read_text().strip():
        durable_files.write(place, secrets.token_urlsafe(32) + "\n", mode=0o600)


def prepare(data_dir: Path) -> None:
    """Raises OSError when this user cannot write there."""
    ensure_cluster_key(data_dir)
    (data_dir / "redis").mkdir(mode=0o700, exist_ok=True)
    (data_dir / "tmp").mkdir(mode=0o700, exist_ok=True)


def main() -> int:
    data_dir = load(ClusterSettings).data_dir
    try:
        prepare(data_dir)
    except OSError as error:
        print(  # noqa: T201
            f"HEARTH_DATA_DIR: Hearth cannot keep its data in {data_dir}: {error.strerror}"
            f" ({error.filename}). Let the user that Hearth runs as write there.",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
