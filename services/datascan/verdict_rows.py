"""The verdict on one file as it is stored, and the table it is stored in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Step(IntEnum):
    """That decided; numbers of VerdictStep."""

    READ = 1
    RULES = 2
    DUPLICATES = 3
    LOSS = 4


class Split(IntEnum):
    """Numbers of DatasetSplit; a rejected file is in no half."""

    NONE = 0
    TRAIN = 1
    TEST = 2


@dataclass(frozen=True)
class VerdictRow:
    """Field by field as Verdict. `reasons` are numbers with commas around and between them.

    Files that are somewhat alike share `group_number`: none of them may be in the other half.
    """

    file_number: int
    source_id: str
    path: str
    accepted: bool
    step: int
    size_bytes: int
    reason: int = 0
    reasons: str = ""
    detail: str = ""
    forced: bool = False
    split: int = 0
    language: str = ""
    num_lines: int = 0
    content_sha256: str = ""
    content_key: str = ""
    text_bytes: int = 0
    digit_share: float | None = None
    loss: float | None = None
    num_tokens: int = 0
    duplicate_file_number: int = 0
    group_number: int = 0


COLUMNS = tuple(VerdictRow.__dataclass_fields__)

# A scan's file. `texts` has what stage 1 accepted, for the comparison of near duplicates, for
# stage 2, for the dataset, and to be looked at; `bands` is needed while stage 1 runs only.
SCHEMA = """
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), inputs TEXT, token INTEGER);
CREATE TABLE files (
  file_number INTEGER PRIMARY KEY, source_id TEXT NOT NULL, path TEXT NOT NULL,
  accepted INTEGER NOT NULL, step INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
  reason INTEGER NOT NULL, reasons TEXT NOT NULL, detail TEXT NOT NULL, forced INTEGER NOT NULL,
  split INTEGER NOT NULL, language TEXT NOT NULL, num_lines INTEGER NOT NULL,
  content_sha256 TEXT NOT NULL, content_key TEXT NOT NULL, text_bytes INTEGER NOT NULL,
  digit_share REAL, loss REAL, num_tokens INTEGER NOT NULL,
  duplicate_file_number INTEGER NOT NULL, group_number INTEGER NOT NULL
);
CREATE INDEX files_by_content ON files (content_key) WHERE accepted = 1;
CREATE INDEX files_by_group ON files (group_number) WHERE accepted = 1;
CREATE INDEX files_by_reason ON files (reason, file_number);
CREATE TABLE texts (file_number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE bands (
  band INTEGER NOT NULL, file_number INTEGER NOT NULL, PRIMARY KEY (band, file_number)
) WITHOUT ROWID;
"""
