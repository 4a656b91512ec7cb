"""Verdicts of scans and the files that they are on, as /api/v1 shows them."""

from __future__ import annotations

from typing import Literal

from services.gateway.message_view import MessageView

VerdictReason = Literal[
    "linguist_error",
    "not_text",
    "too_large",
    "lfs_pointer",
    "secret",
    "excluded_by_mask",
    "duplicate",
    "near_duplicate",
    "generated",
    "vendored",
    "documentation",
    "minified",
    "data",
    "digits",
    "not_code",
    "language_off",
    "filter_empty",
    "loss",
]
VerdictStep = Literal["read", "rules", "duplicates", "loss"]
DatasetSplit = Literal["train", "test"]
VerdictOrder = Literal["number", "path", "size", "loss", "language", "reason"]


class SecretFindingView(MessageView):
    kind: str
    line: int


class VerdictView(MessageView):
    """`reason` is null for an accepted file, `split` for a rejected one, `loss` for one that was
    not scored. `duplicate_file_number` is 0 for a file that is no duplicate.
    """

    scan_id: str
    file_number: int
    source_id: str
    path: str
    accepted: bool
    step: VerdictStep | None
    reason: VerdictReason | None
    reasons: list[VerdictReason]
    detail: str
    forced: bool
    split: DatasetSplit | None
    language: str
    size_bytes: int
    num_lines: int
    content_sha256: str
    digit_share: float | None
    loss: float | None
    num_tokens: int
    duplicate_file_number: int
    secrets: list[SecretFindingView]
    licence: str


class VerdictPage(MessageView):
    """`next_page_token` is empty on the last page."""

    verdicts: list[VerdictView]
    next_page_token: str


class FileMarkView(MessageView):
    """Lines count from 1; `end_line` is one of them."""

    reason: VerdictReason
    start_line: int
    end_line: int
    note: str


class ScannedFileView(MessageView):
    """`text` is empty where `unavailable_reason` says why; `truncated`: there is more of it."""

    verdict: VerdictView
    text: str
    truncated: bool
    unavailable_reason: str
    marks: list[FileMarkView]
