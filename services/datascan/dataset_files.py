"""The dataset of a scan as an artifact: JSON lines of train and test."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.project_records import DatasetChange
from services.datascan.verdict_rows import Split
from services.datascan.verdict_store import VerdictStore

HALVES = {Split.TRAIN: "train.jsonl", Split.TEST: "test.jsonl"}
_ID_DIGITS = 24


@dataclass(frozen=True)
class Belonging:
    """`token` is that of the scan's attempt."""

    scan_id: str
    token: int
    project_id: str
    team_id: str


def publish_dataset(
    verdicts: VerdictStore,
    artifacts: ArtifactStore,
    whose: Belonging,
    labels: dict[str, str],
    guard: Callable[[], None],
    step: Callable[[], None],
) -> str:
    """The dataset's id, which is the same for the same project and content: a second attempt makes
    the same artifact again, which changes nothing.

    `guard` is called before it appears, `step` after each file; both may raise.
    """
    folder = artifacts.root / "drafts"
    folder.mkdir(parents=True, exist_ok=True)
    places = {split: folder / f"datasets-{whose.scan_id}-{name}" for split, name in HALVES.items()}
    try:
        digests = [_write_half(verdicts, split, place, step) for split, place in places.items()]
        content = "\n".join((whose.project_id, *digests))
        dataset_id = f"dataset-{hashlib.sha256(content.encode()).hexdigest()[:_ID_DIGITS]}"
        with artifacts.draft(ArtifactKind.DATASET, dataset_id) as draft:
            for split, place in places.items():
                os.rename(place, draft.file(HALVES[split]))
            draft.publish(
                labels,
                project_id=whose.project_id,
                team_id=whose.team_id,
                guard=guard,
                fence=Fence(whose.scan_id, whose.token),
            )
        return dataset_id
    finally:
        for place in places.values():
            place.unlink(missing_ok=True)


def _write_half(verdicts: VerdictStore, split: Split, place: Path, step: Callable[[], None]) -> str:
    """The SHA-256 of what was written."""
    sha256 = hashlib.sha256()
    with place.open("wb") as file:
        for path, language, text in verdicts.accepted(split):
            digest = hashlib.sha256(text.encode()).hexdigest()
            entry = {"path": path, "language": language, "sha256": digest, "text": text}
            line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
            sha256.update(line)
            file.write(line)
            step()
    return sha256.hexdigest()


def entries(artifacts: ArtifactStore, dataset_id: str) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 of the text of every file of a dataset. Raises NotFound."""
    folder = artifacts.path(ArtifactKind.DATASET, dataset_id)
    for name in HALVES.values():
        with (folder / name).open(encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                yield entry["path"], entry["sha256"]


def change_between(
    verdicts: VerdictStore, artifacts: ArtifactStore, previous_id: str, dataset_id: str
) -> DatasetChange:
    """Compared on disk, since datasets may be larger than the memory. Raises NotFound."""
    db = verdicts.database
    for table, of in (("before", previous_id), ("after", dataset_id)):
        db.execute(f"DROP TABLE IF EXISTS temp.{table}")
        db.execute(f"CREATE TEMP TABLE {table} (path TEXT, sha256 TEXT)")
        db.executemany(f"INSERT INTO temp.{table} VALUES (?, ?)", entries(artifacts, of))
        db.execute(f"CREATE INDEX temp.{table}_paths ON {table} (path)")

    def count(condition: str) -> int:
        return int(db.execute(f"SELECT count(DISTINCT path) FROM {condition}").fetchone()[0])

    return DatasetChange(
        previous_dataset_id=previous_id,
        num_added_files=count("after WHERE path NOT IN (SELECT path FROM before)"),
        num_removed_files=count("before WHERE path NOT IN (SELECT path FROM after)"),
        num_changed_files=count(
            "after WHERE path IN (SELECT path FROM before) AND NOT EXISTS"
            " (SELECT 1 FROM before AS b WHERE b.path = after.path AND b.sha256 = after.sha256)"
        ),
    )
