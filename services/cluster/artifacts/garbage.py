"""Which artifacts nobody needs any more. A rule only: it reads and deletes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from services.cluster.artifacts.manifest import ArtifactKind, Manifest

GRACE_SECONDS = 24 * 3600.0
MIN_GRACE_SECONDS = 3600.0


def garbage(
    manifests: Iterable[Manifest],
    references: Mapping[ArtifactKind, Collection[str]],
    now: float,
    grace_seconds: float = GRACE_SECONDS,
) -> list[Manifest]:
    """Those that no record names and that are older than the grace time, which is an hour at least.

    An artifact is published first and recorded then, so a young one may be about to be recorded.
    `created_at` is when it was last published, with the same files perhaps.
    """
    grace_seconds = max(grace_seconds, MIN_GRACE_SECONDS)
    return [
        manifest
        for manifest in manifests
        if manifest.artifact_id not in references.get(manifest.kind, ())
        and manifest.created_at < now - grace_seconds
    ]
