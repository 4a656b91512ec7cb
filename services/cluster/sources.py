"""Sources of projects: every change makes a scan of the project due and is told to who watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from services.cluster import project_scripts as scripts
from services.cluster.errors import Conflict, NotFound
from services.cluster.project_records import SourceCounts, SourceRecord
from services.cluster.projects import no_project
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

_BLOCK_MILLISECONDS = 1000


class Sources:
    """Every method raises StoreUnavailable while Redis is away; nothing is half done then.

    `scan_delay_seconds` is how long after the last change of a source a scan is due.
    """

    def __init__(self, store: Store, scan_delay_seconds: float = 2.0) -> None:
        self._store = store
        self._delay = scan_delay_seconds

    async def add(self, source: SourceRecord, idempotency_key: str = "") -> SourceRecord:
        """The new source, or the one that was added with this key before.

        Raises NotFound without the project, and Conflict for a taken name.
        """
        answer = await self._store.run(
            scripts.ADD_SOURCE,
            [],
            [
                source.project_id,
                source.source_id,
                source.model_dump_json(),
                source.name,
                idempotency_key,
                self._delay,
            ],
        )
        if answer == scripts.GONE:
            raise no_project(source.project_id)
        if answer == scripts.TAKEN:
            raise _name_taken(source.name)
        return source if answer == source.source_id else await self.get(str(answer))

    async def of_key(self, project_id: str, idempotency_key: str) -> SourceRecord | None:
        """The source that was added with this key; None when there is none."""
        key = Keys.SOURCE_IDEMPOTENCY.format(project_id)
        found = await self._store.field(key, idempotency_key)
        return await self.get(found) if found else None

    async def get(self, source_id: str) -> SourceRecord:
        """Raises NotFound."""
        return (await self._read(source_id))[1]

    async def all(self, project_id: str) -> list[tuple[SourceRecord, SourceCounts | None]]:
        """By name. Raises NotFound without the project."""
        answers = await self._store.run(scripts.LIST_SOURCES, [], [project_id])
        if answers == scripts.GONE:
            raise no_project(project_id)
        found = [
            (
                SourceRecord.model_validate_json(record),
                SourceCounts.model_validate_json(counts) if counts else None,
            )
            for record, counts in answers
        ]
        return sorted(found, key=lambda pair: pair[0].name)

    async def counts(self, source_id: str) -> SourceCounts | None:
        """None before the first scan."""
        text = await self._store.field(Keys.SOURCE_COUNTS, source_id)
        return SourceCounts.model_validate_json(text) if text else None

    async def change(
        self,
        source_id: str,
        change: Callable[[SourceRecord], SourceRecord],
        idempotency_key: str = "",
    ) -> SourceRecord:
        """Applies `change` to the newest record. Raises NotFound, and Conflict for a taken name."""
        while True:
            old, current = await self._read(source_id)
            changed = change(current)
            answer = await self._store.run(
                scripts.CHANGE_SOURCE,
                [],
                [
                    current.project_id,
                    source_id,
                    old,
                    changed.model_dump_json(),
                    current.name,
                    changed.name,
                    idempotency_key,
                    self._delay,
                ],
            )
            if answer == scripts.TAKEN:
                raise _name_taken(changed.name)
            if answer != scripts.GONE:
                return changed

    async def delete(self, source_id: str) -> SourceRecord:
        """The record that was deleted. Raises NotFound."""
        while True:
            old, current = await self._read(source_id)
            arguments: list[str | int | float] = [
                current.project_id,
                source_id,
                old,
                current.name,
                self._delay,
            ]
            if await self._store.run(scripts.DELETE_SOURCE, [], arguments) != scripts.GONE:
                return current

    async def mark(self, project_id: str) -> str:
        """Where `changes` goes on after what is seen now."""
        return await self._store.newest_entry(Keys.SOURCE_EVENTS.format(project_id))

    async def changes(self, project_id: str, mark: str) -> AsyncIterator[str]:
        """The id of each source that was added, changed or deleted after the mark."""
        while True:
            entries = await self._store.read_stream(
                Keys.SOURCE_EVENTS.format(project_id), mark, _BLOCK_MILLISECONDS
            )
            for entry_id, fields in entries:
                mark = entry_id
                yield fields["source_id"]
            if not entries and not await self._store.field(Keys.PROJECTS, project_id):
                raise no_project(project_id)

    async def _read(self, source_id: str) -> tuple[str, SourceRecord]:
        text = await self._store.field(Keys.SOURCES, source_id)
        if not text:
            raise NotFound(f"There is no source {source_id}.")
        return text, SourceRecord.model_validate_json(text)


def _name_taken(name: str) -> Conflict:
    return Conflict(f"The project has a source named {name} already; choose another name.")
