"""Settings of the data scan."""

from __future__ import annotations

from pydantic import Field

from services.cluster.settings import ClusterSettings

GIB = 1024**3


class DatascanSettings(ClusterSettings):
    max_source_bytes: int = Field(
        2 * GIB, ge=1024, description="Longest upload of an archive or a file."
    )
    max_source_files: int = Field(
        500_000, ge=1, description="Files of one archive; those after them are not read."
    )
    max_unpacked_bytes: int = Field(
        10 * GIB, ge=1024, description="Bytes that one archive may unpack to."
    )
    upload_seconds: float = Field(
        60, gt=0, description="Longest silence within an upload of a source."
    )
    scan_delay_seconds: float = Field(
        2, ge=0, description="Time from the last change of a project's sources to its scan."
    )
    scan_lease_seconds: float = Field(
        30, gt=1, description="Silence after which a scan is taken from its worker."
    )
    kept_scans: int = Field(
        10, ge=1, description="Scans of a project whose verdicts are kept, the newest ones."
    )
