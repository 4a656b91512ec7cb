"""What a source of repository context is: files that help a completion, for who asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RepositoryFile:
    """`path` is relative to the repository."""

    path: str
    text: str


@dataclass(frozen=True)
class RepositoryFiles:
    """`files`: the most telling first. `path` is of the file at the cursor; "" where unknown."""

    files: Sequence[RepositoryFile] = ()
    repository: str = ""
    path: str = ""


class Asker(Protocol):
    """Whose repositories may be shown: a caller of the gateway."""

    @property
    def user_id(self) -> str: ...

    @property
    def team_id(self) -> str: ...


class RepositoryContext(Protocol):
    """A source of files, which knows what a team may see. One that is slow is cancelled."""

    async def files(
        self, caller: Asker, prefix: str, suffix: str, num_tokens: int
    ) -> RepositoryFiles:
        """What helps between `prefix` and `suffix`, in about `num_tokens` tokens."""
        ...
