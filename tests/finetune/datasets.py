"""Small datasets as datascan writes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from services.cluster.artifacts.manifest import ArtifactKind, Manifest
from services.cluster.artifacts.store import ArtifactStore
from services.finetune.files import DatasetFile

PROJECT = "p1"
DATASET = "dataset-1"


def source_text(number: int, num_functions: int = 6) -> str:
    """Regular enough to be learned by a tiny model within a few steps."""
    return "".join(
        f"def total_{number}_{place}(values):\n"
        f"    result = {place}\n"
        f"    for value in values:\n"
        f"        result += value\n"
        f"    return result\n\n\n"
        for place in range(num_functions)
    )


def dataset_files(numbers: range, num_functions: int = 6) -> list[DatasetFile]:
    return [
        DatasetFile(
            path=f"src/module_{number}.py",
            language="Python",
            text=(text := source_text(number, num_functions)),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        for number in numbers
    ]


def write_files(place: Path, files: list[DatasetFile]) -> None:
    place.write_text(
        "".join(
            json.dumps({"path": f.path, "language": f.language, "text": f.text, "sha256": f.sha256})
            + "\n"
            for f in files
        )
    )


def write_dataset(
    artifacts: ArtifactStore,
    dataset_id: str = DATASET,
    num_train: int = 12,
    num_test: int = 6,
    project_id: str = PROJECT,
) -> Manifest:
    with artifacts.draft(ArtifactKind.DATASET, dataset_id) as draft:
        write_files(draft.file("train.jsonl"), dataset_files(range(num_train)))
        write_files(draft.file("test.jsonl"), dataset_files(range(100, 100 + num_test), 2))
        return draft.publish(project_id=project_id)
