"""The payload of a scan's job, and ScanFilters as the rules want them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan.filters import Filters

_DEFAULTS = Filters()


def with_defaults(filters: pb.ScanFilters) -> pb.ScanFilters:
    """Every threshold set."""
    filled = pb.ScanFilters(
        schema_version=1,
        revision=1,
        max_file_bytes=_DEFAULTS.max_file_bytes,
        max_digit_share=_DEFAULTS.max_digit_share,
        max_line_chars=_DEFAULTS.max_line_chars,
        max_mean_line_chars=_DEFAULTS.max_mean_line_chars,
        near_duplicate_similarity=_DEFAULTS.near_duplicate_similarity,
        max_loss=_DEFAULTS.max_loss,
        test_share=_DEFAULTS.test_share,
        secret_policy=pb.SECRET_POLICY_KEEP,
    )
    filled.MergeFrom(filters)
    return filled


def filters_of(message: pb.ScanFilters) -> Filters:
    message = with_defaults(message)
    return Filters(
        include_masks=tuple(message.include_masks),
        exclude_masks=tuple(message.exclude_masks),
        disabled_languages=frozenset(message.disabled_languages),
        disabled_reasons=frozenset(message.disabled_reasons),
        max_file_bytes=message.max_file_bytes,
        max_digit_share=message.max_digit_share,
        max_line_chars=message.max_line_chars,
        max_mean_line_chars=message.max_mean_line_chars,
        near_duplicate_similarity=message.near_duplicate_similarity,
        max_loss=message.max_loss,
        test_share=message.test_share,
    )


def payload_of(job: pb.ScanJob) -> dict[str, Any]:
    return MessageToDict(job)


def scan_job(payload: Mapping[str, Any]) -> pb.ScanJob:
    """Fields of a newer writer are ignored."""
    return ParseDict(dict(payload), pb.ScanJob(), ignore_unknown_fields=True)


def digest(payload: Mapping[str, Any]) -> str:
    """The same for two scans that would do the same, whatever started them."""
    wanted = {name: value for name, value in payload.items() if name != "trigger"}
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
