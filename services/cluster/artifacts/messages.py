"""Manifests as messages of the proto."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.artifacts.manifest import ArtifactKind, Manifest, ManifestFile
from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import artifacts_pb2 as pb

_KINDS = {
    pb.ARTIFACT_KIND_SOURCE: ArtifactKind.SOURCE,
    pb.ARTIFACT_KIND_DATASET: ArtifactKind.DATASET,
    pb.ARTIFACT_KIND_CHECKPOINT: ArtifactKind.CHECKPOINT,
    pb.ARTIFACT_KIND_ADAPTER: ArtifactKind.ADAPTER,
}
KIND_NUMBERS = {kind: number for number, kind in _KINDS.items()}


def kind_of(number: pb.ArtifactKind.ValueType) -> ArtifactKind:
    """Raises BadRequest for none."""
    if number not in _KINDS:
        raise BadRequest("kind must be a source, dataset, checkpoint or adapter.", param="kind")
    return _KINDS[number]


def file_messages(files: Iterable[ManifestFile]) -> list[pb.ArtifactFile]:
    return [
        pb.ArtifactFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256)
        for file in files
    ]


def files_of(messages: Iterable[pb.ArtifactFile]) -> tuple[ManifestFile, ...]:
    return tuple(
        ManifestFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256)
        for file in messages
    )


def manifest_message(manifest: Manifest) -> pb.ArtifactManifest:
    created_at = Timestamp()
    created_at.FromMicroseconds(int(manifest.created_at * 1e6))
    return pb.ArtifactManifest(
        schema_version=manifest.schema_version,
        kind=KIND_NUMBERS[manifest.kind],
        artifact_id=manifest.artifact_id,
        project_id=manifest.project_id,
        team_id=manifest.team_id,
        files=file_messages(manifest.files),
        labels=dict(manifest.labels),
        created_at=created_at,
    )


def manifest_of(message: pb.ArtifactManifest) -> Manifest:
    """Raises BadRequest for a kind that is none."""
    return Manifest(
        kind=kind_of(message.kind),
        artifact_id=message.artifact_id,
        project_id=message.project_id,
        team_id=message.team_id,
        files=files_of(message.files),
        labels=dict(message.labels),
        created_at=message.created_at.ToMicroseconds() / 1e6,
    )
