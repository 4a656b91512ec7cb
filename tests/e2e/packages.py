"""Real code from the package registry, as a user would zip it."""

from __future__ import annotations

import io
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.running import ROOT

_PIP = ROOT / ".boot" / "bin" / "python"  # uv, which made the test's environment, cannot download
_PINNED = Path(__file__).with_name("packages.txt")
_HELD_OUT_EVERY = 3
_LONGEST_HELD_OUT = 8_000  # bytes: measuring long files costs a CPU minutes


@cache
def wheels() -> dict[str, bytes]:
    """The wheel of each pinned package, by its name."""
    with TemporaryDirectory() as folder:
        subprocess.run(
            [_PIP, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
             "--require-hashes", "--requirement", _PINNED, "--dest", folder],
            check=True,
        )  # fmt: skip
        return {path.name.split("-")[0]: path.read_bytes() for path in Path(folder).iterdir()}


def zips(package: str) -> tuple[bytes, bytes]:
    """A package's files in two zips, one to train on and one to hold out.

    Every third short Python file is held out; whatever else is in the wheel is in the first zip.
    """
    with zipfile.ZipFile(io.BytesIO(wheels()[package])) as wheel:
        files = {name: wheel.read(name) for name in sorted(wheel.namelist())}
    programs = [
        name
        for name, data in files.items()
        if name.endswith(".py") and 0 < len(data) <= _LONGEST_HELD_OUT
    ]
    held_out = set(programs[::_HELD_OUT_EVERY])
    return (
        zipped({name: data for name, data in files.items() if name not in held_out}),
        zipped({name: files[name] for name in held_out}),
    )


def zipped(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return memory.getvalue()
