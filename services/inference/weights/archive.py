"""A model folder in an archive: what it would write is known, and refused, before it is written."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from services.cluster.artifacts.disk_space import ensure_space, telling_full_disk
from services.cluster.artifacts.manifest import ManifestFile, safe_path
from services.cluster.errors import BadRequest, PayloadTooLarge
from services.inference.weights.files import choose_files

_BLOCK_BYTES = 1024 * 1024
_MAX_MEMBERS = 10_000
_ZIP_LINK = 0o120000
_ZIP_KIND = 0o170000
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a method of compression that zipfile does not know
    RuntimeError,  # an encrypted member
)


@dataclass(frozen=True)
class Member:
    """`path` is as it will be written; `open` reads it."""

    path: str
    size_bytes: int
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path, target: Path, max_bytes: int, check: Callable[[], None]
) -> list[ManifestFile]:
    """Writes a model's files below `target`; what else is in the archive is left out.

    `check` is called between blocks, and may raise. Raises BadRequest for an archive that is
    broken, is no model or would write elsewhere, PayloadTooLarge, and OutOfDisk before it writes.
    """
    with _explained(), _opened(archive, check) as members:
        found = {member.path: member for member in members}
        if len(found) != len(members):
            raise BadRequest("The archive has two files of the same name.")
        chosen = choose_files(found.keys(), "The archive")
        wanted = [found[path] for path in (*chosen.small, *chosen.weights)]
        total = sum(member.size_bytes for member in wanted)
        if total > max_bytes:
            raise PayloadTooLarge(
                f"The archive unpacks to {total} bytes; {max_bytes} are the limit"
                " (HEARTH_MAX_WEIGHTS_BYTES)."
            )
        ensure_space(target, total)
        return [_written(member, target, check) for member in wanted]


@contextmanager
def _explained() -> Generator[None]:
    try:
        yield
    except _BROKEN as error:
        raise BadRequest(f"The archive is broken or encrypted: {error}. Pack it again.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise BadRequest(f"The archive is broken: {error}. Pack it again.") from error  # of gzip


@contextmanager
def _opened(archive: Path, check: Callable[[], None]) -> Generator[list[Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _stripped(list(_bounded(_zip_members(opened), check)))
        return
    try:
        tar = tarfile.open(archive)  # noqa: SIM115 closed below
    except tarfile.ReadError:
        raise BadRequest(
            "The upload is no zip and no tar (as it is, or with gzip, bzip2 or xz): pack the"
            " model's folder with one of them."
        ) from None
    with tar:
        yield _stripped(list(_bounded(_tar_members(tar), check)))


def _zip_members(opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        if info.is_dir():
            continue
        if (info.external_attr >> 16) & _ZIP_KIND == _ZIP_LINK:
            raise _is_link(info.filename)
        yield Member(_checked(info.filename), info.file_size, partial(opened.open, info))


def _tar_members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        if info.isdir():
            continue
        if not info.isreg():
            raise _is_link(info.name)
        yield Member(_checked(info.name), info.size, partial(_extracted, tar, info))


def _extracted(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    if file is None:
        raise _is_link(info.name)
    return file


def _bounded(members: Iterator[Member], check: Callable[[], None]) -> Iterator[Member]:
    for number, member in enumerate(members):
        check()
        if number >= _MAX_MEMBERS:
            raise BadRequest(f"The archive has more than {_MAX_MEMBERS} files; a model has fewer.")
        if not _is_of_a_desktop(member.path):
            yield member


def _is_of_a_desktop(path: str) -> bool:
    name = path.rpartition("/")[2]
    return path.startswith("__MACOSX/") or name.startswith("._") or name == ".DS_Store"


def _checked(name: str) -> str:
    try:
        return safe_path(name).as_posix()
    except BadRequest:
        raise BadRequest(
            f"The archive would write outside of the model's folder ({name[:200]!r}); nothing of"
            " it was taken."
        ) from None


def _is_link(name: str) -> BadRequest:
    return BadRequest(
        f"{name[:200]!r} in the archive is a link or a device; pack the files themselves (tar"
        " --dereference)."
    )


def _stripped(members: list[Member]) -> list[Member]:
    """Without the folder that everything is in, if there is one."""
    tops = {member.path.partition("/")[0] for member in members}
    if len(tops) != 1 or any("/" not in member.path for member in members):
        return members
    return [Member(m.path.partition("/")[2], m.size_bytes, m.open) for m in members]


def _written(member: Member, target: Path, check: Callable[[], None]) -> ManifestFile:
    place, sha256, num_bytes = target / member.path, hashlib.sha256(), 0
    place.parent.mkdir(parents=True, exist_ok=True)
    with telling_full_disk(place), place.open("xb") as file, member.open() as source:
        while block := source.read(_BLOCK_BYTES):
            check()
            num_bytes += len(block)
            if num_bytes > member.size_bytes:
                raise BadRequest(f"{member.path} is longer than the archive says.")
            sha256.update(block)
            file.write(block)
    if num_bytes < member.size_bytes:
        raise BadRequest(f"{member.path} is shorter than the archive says.")
    return ManifestFile(path=member.path, size_bytes=num_bytes, sha256=sha256.hexdigest())
