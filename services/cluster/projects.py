"""Projects, as every service that works with them sees them.

A change of a source makes a scan of its project due; whoever runs scans asks for `due`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.cluster import project_scripts as scripts
from services.cluster.errors import Conflict, NotFound
from services.cluster.project_records import ProjectRecord, ProjectView
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys


class Projects:
    """Every method raises StoreUnavailable while Redis is away; nothing is half done then."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, project: ProjectRecord) -> None:
        """Raises Conflict when the team has a project of that name."""
        arguments = [project.project_id, project.model_dump_json(), _name(project)]
        if not await self._store.run(scripts.CREATE_PROJECT, [], [*arguments]):
            raise _name_taken(project.name)

    async def get(self, project_id: str) -> ProjectView:
        """Raises NotFound."""
        answer = await self._store.run(scripts.GET_PROJECT, [], [project_id])
        if not answer[0]:
            raise no_project(project_id)
        return _view(answer)

    async def all(self) -> list[ProjectView]:
        """By name."""
        answers = await self._store.run(scripts.LIST_PROJECTS, [], [])
        views = [_view(answer) for answer in answers if answer[0]]
        return sorted(views, key=lambda view: (view.project.name, view.project.project_id))

    async def change(
        self, project_id: str, change: Callable[[ProjectRecord], ProjectRecord]
    ) -> ProjectRecord:
        """Applies `change` to the newest record. Raises NotFound, and Conflict for a taken name."""
        while True:
            old, current = await self._project(project_id)
            changed = change(current)
            answer = await self._store.run(
                scripts.CHANGE_PROJECT,
                [],
                [project_id, old, changed.model_dump_json(), _name(current), _name(changed)],
            )
            if answer == scripts.TAKEN:
                raise _name_taken(changed.name)
            if answer != scripts.GONE:
                return changed

    async def delete(self, project_id: str) -> None:
        """With its sources, and the records of its datasets. Raises NotFound."""
        answer = scripts.GONE
        while answer == scripts.GONE:
            old, current = await self._project(project_id)
            answer = await self._store.run(
                scripts.DELETE_PROJECT, [], [project_id, old, _name(current)]
            )

    async def due(self) -> list[tuple[str, str]]:
        """Projects whose scan is due, each with a mark for `settle_due`."""
        answer = await self._store.run(scripts.DUE_PROJECTS, [], [])
        return list(zip(answer[::2], answer[1::2], strict=True))

    async def settle_due(self, project_id: str, mark: str) -> None:
        """A project that changed after the mark stays due."""
        await self._store.run(scripts.SETTLE_DUE, [], [project_id, mark])

    async def record_scan(self, project_id: str, latest_scan_id: str, scan_id: str) -> bool:
        """False when the project's latest scan is another by now. Raises NotFound."""
        answer = await self._store.run(
            scripts.RECORD_SCAN, [], [project_id, latest_scan_id, scan_id]
        )
        if answer == scripts.GONE:
            raise no_project(project_id)
        return bool(answer)

    async def scan_ids(self, project_id: str, start: int = 0, count: int = -1) -> list[str]:
        """Newest first."""
        return await self._store.newest_ids(Keys.PROJECT_SCANS.format(project_id), start, count)

    async def _project(self, project_id: str) -> tuple[str, ProjectRecord]:
        text = await self._store.field(Keys.PROJECTS, project_id)
        if not text:
            raise no_project(project_id)
        return text, ProjectRecord.model_validate_json(text)


def no_project(project_id: str) -> NotFound:
    return NotFound(f"There is no project {project_id}.")


def _view(answer: list[Any]) -> ProjectView:
    record, scan_id, dataset_id, num_sources = answer
    return ProjectView(
        project=ProjectRecord.model_validate_json(record),
        latest_scan_id=scan_id,
        latest_dataset_id=dataset_id,
        num_sources=num_sources,
    )


def _name(project: ProjectRecord) -> str:
    return f"{project.team_id}/{project.name}"


def _name_taken(name: str) -> Conflict:
    return Conflict(f"The team has a project named {name} already; choose another name.")
