"""Archives that tests upload, good and hostile ones."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Mapping

WORDS = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "mu",
)


def program(seed: int, num_lines: int = 30) -> str:
    """Python that resembles no other seed's."""
    chance = random.Random(seed)
    lines = [f"def {chance.choice(WORDS)}_{chance.choice(WORDS)}_{seed}():"]
    for _ in range(num_lines):
        names = [f"{chance.choice(WORDS)}_{chance.choice(WORDS)}" for _ in range(4)]
        lines.append(f"    {names[0]} = {names[1]}.{names[2]}({names[3]})")
    return "\n".join(lines) + "\n"


def zipped(files: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, str | bytes], mode: str = "w") -> bytes:
    """`mode` as of tarfile: w, w:gz or w:bz2."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
