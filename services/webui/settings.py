"""Settings of the server of the web interface."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.cluster.settings import ClusterSettings


class WebuiSettings(ClusterSettings):
    webui_port: int = Field(
        0, ge=0, le=65535, description="Port of the web interface's own server; 0: a free one."
    )
    webui_dist: Path = Field(
        Path(__file__).with_name("dist"), description="Folder of the built web interface."
    )
