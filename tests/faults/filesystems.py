"""Small file systems of a test's own, and the disk as a power cut would leave it. Root only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TOOLS = ("losetup", "mkfs.ext4", "mount", "umount")
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Volume:
    """An ext4 file system: mounted at `folder`, its blocks in the file `image`."""

    folder: Path
    image: Path

    def power_cut(self, copy: Path) -> None:
        """Copies the blocks as they are: what only the page cache of `folder` holds is not there.

        Nothing is synced. Writers should be stopped (SIGSTOP) meanwhile, so that the copy is of one
        moment; to stop a process writes nothing either.
        """
        shutil.copyfile(self.image, copy)


@contextmanager
def ext4(folder: Path, size_mib: int) -> Iterator[Volume]:
    """A new one; no background thread of ext4 writes to it later."""
    image = folder / "volume.img"
    with image.open("wb") as file:
        file.truncate(size_mib * _MIB)
    now = "lazy_itable_init=0,lazy_journal_init=0"
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", now, str(image))
    with mounted(image, folder / "volume") as place:
        yield Volume(place, image)


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mounts an image; its journal is replayed, as after a power cut."""
    place.mkdir()
    with ExitStack() as stack:
        device = _run("losetup", "--find", "--show", str(image)).strip()
        stack.callback(_run, "losetup", "--detach", device)
        _run("mount", "-t", "ext4", device, str(place))
        stack.callback(_run, "umount", str(place))
        yield place


@contextmanager
def tmpfs(place: Path, size_bytes: int) -> Iterator[Path]:
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))


@lru_cache
def why_no_volumes() -> str:
    """Why this machine cannot mount file systems for tests; "" when it can."""
    if os.geteuid() != 0:
        return "only root may mount a file system"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"{', '.join(missing)} is not installed"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with ext4(Path(folder), size_mib=2):
                return ""
        except subprocess.CalledProcessError as error:
            return f"no loop device can be mounted: {str(error.stderr).strip()}"


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
