"""What people decide about projects and sources, checked in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import SourceSplit
from services.datascan.readers import ending

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_READERS = 100
_MAX_MODEL_CHARS = 200
_MAX_NAME_CHARS = 64
_SPLITS = {
    pb.SOURCE_SPLIT_UNSPECIFIED: SourceSplit.AUTO,
    pb.SOURCE_SPLIT_AUTO: SourceSplit.AUTO,
    pb.SOURCE_SPLIT_TRAIN: SourceSplit.TRAIN,
    pb.SOURCE_SPLIT_TEST: SourceSplit.TEST,
}

# Each answers the record's value of a field of the spec. Raises BadRequest.
PROJECT_FIELDS: Mapping[str, Callable[[pb.ProjectSpec], Any]] = {
    "name": lambda spec: checked_name(spec.name),
    "reader_team_ids": lambda spec: _readers(spec),
    "finetune_model": lambda spec: _model(spec),
    "manual_scans": lambda spec: spec.manual_scans,
}
SOURCE_FIELDS: Mapping[str, Callable[[pb.SourceSpec], Any]] = {
    "name": lambda spec: checked_name(spec.name),
    "split": lambda spec: source_split(spec),
}


def project_changes(spec: pb.ProjectSpec, mask: FieldMask) -> dict[str, Any]:
    """Raises BadRequest."""
    return {name: PROJECT_FIELDS[name](spec) for name in _masked(mask, PROJECT_FIELDS)}


def source_changes(spec: pb.SourceSpec, mask: FieldMask) -> dict[str, Any]:
    """Raises BadRequest."""
    return {name: SOURCE_FIELDS[name](spec) for name in _masked(mask, SOURCE_FIELDS)}


def checked_name(name: str) -> str:
    """Raises BadRequest."""
    if not _NAME.fullmatch(name) or set(name) == {"."}:
        raise BadRequest(
            f"{name!r} is no name: 1 to 64 letters, digits, dots, dashes and underscores.",
            param="name",
        )
    return name


def source_split(spec: pb.SourceSpec) -> SourceSplit:
    """Raises BadRequest."""
    if spec.split not in _SPLITS:
        raise BadRequest(f"split must be {', '.join(SourceSplit)}.", param="split")
    return _SPLITS[spec.split]


def name_from(file_name: str, taken: set[str]) -> str:
    """A source's name, made from the file's; with a number where that is taken."""
    stem = file_name[: len(file_name) - len(ending(file_name))] or file_name
    base = _UNFIT.sub("-", stem).strip("-.")[:_MAX_NAME_CHARS] or "source"
    name, number = base, 2
    while name in taken:
        suffix = f"-{number}"
        name, number = base[: _MAX_NAME_CHARS - len(suffix)] + suffix, number + 1
    return name


def _masked(mask: FieldMask, known: Mapping[str, object]) -> list[str]:
    if not mask.paths:
        raise BadRequest("update_mask must name a field of spec at least.", param="update_mask")
    for path in mask.paths:
        if path not in known:
            raise BadRequest(
                f"{path!r} cannot be changed here; these can: {', '.join(known)}.",
                param="update_mask",
            )
    return list(mask.paths)


def _readers(spec: pb.ProjectSpec) -> tuple[str, ...]:
    if len(spec.reader_team_ids) > _MAX_READERS:
        raise BadRequest(f"At most {_MAX_READERS} teams may read.", param="reader_team_ids")
    return tuple(dict.fromkeys(spec.reader_team_ids))


def _model(spec: pb.ProjectSpec) -> str:
    if len(spec.finetune_model) > _MAX_MODEL_CHARS or not spec.finetune_model.isprintable():
        raise BadRequest(
            f"finetune_model must be a model's name of at most {_MAX_MODEL_CHARS} characters.",
            param="finetune_model",
        )
    return spec.finetune_model
