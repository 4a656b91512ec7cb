"""What is kept of projects, their sources and datasets. Times are unix seconds; ids are opaque."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from services.cluster.records import Record


class SourceKind(StrEnum):
    ARCHIVE = "archive"
    FILE = "file"


class SourceSplit(StrEnum):
    """Which half of a dataset a source feeds; AUTO decides for each file."""

    TRAIN = "train"
    TEST = "test"
    AUTO = "auto"


class ProjectRecord(Record):
    """`finetune_model` is "" where no loss is to be asked for."""

    project_id: str
    team_id: str
    name: str
    reader_team_ids: tuple[str, ...] = ()
    finetune_model: str = ""
    manual_scans: bool = False
    created_at: float
    updated_at: float

    @property
    def record_id(self) -> str:
        return self.project_id


class ProjectView(Record):
    """A project with what belongs to it; the two ids are "" while there is none."""

    project: ProjectRecord
    latest_scan_id: str = ""
    latest_dataset_id: str = ""
    num_sources: int = 0


class SourceRecord(Record):
    """`artifact_id` names the uploaded bytes, which are never changed but replaced.

    `num_entries` is how many files a reader found in them, 0 while unknown.
    """

    source_id: str
    project_id: str
    team_id: str
    kind: SourceKind
    name: str
    split: SourceSplit = SourceSplit.AUTO
    artifact_id: str
    file_name: str
    size_bytes: int
    sha256: str
    num_entries: int = 0
    created_at: float
    fetched_at: float

    @property
    def record_id(self) -> str:
        return self.source_id


class SourceCounts(Record):
    """What the newest finished scan saw of a source."""

    scan_id: str
    num_files: int
    num_accepted_files: int


class DatasetSource(Record):
    """`revision` is the SHA-256 of what was uploaded."""

    source_id: str
    name: str
    revision: str
    num_files: int


class DatasetPart(Record):
    """`size_bytes` of the text in UTF-8; `num_tokens` 0 and `mean_loss` None without a loss."""

    num_files: int = 0
    size_bytes: int = 0
    num_tokens: int = 0
    mean_loss: float | None = None


class DatasetLanguage(Record):
    language: str
    num_files: int
    size_bytes: int


class DatasetChange(Record):
    """Against the dataset before; files are told apart by path and content."""

    previous_dataset_id: str
    num_added_files: int
    num_removed_files: int
    num_changed_files: int


class DatasetRecord(Record):
    """The accepted files of a scan; the artifact of this id holds them.

    `filters` is a ScanFilters message in protobuf's JSON mapping.
    """

    dataset_id: str
    project_id: str
    team_id: str
    scan_id: str
    model: str = ""
    loss_skipped_reason: str = ""
    filters: Mapping[str, Any] = {}
    sources: tuple[DatasetSource, ...] = ()
    train: DatasetPart = DatasetPart()
    test: DatasetPart = DatasetPart()
    num_duplicate_files: int = 0
    languages: tuple[DatasetLanguage, ...] = ()
    change: DatasetChange | None = None
    created_at: float

    @property
    def record_id(self) -> str:
        return self.dataset_id
