"""Shapes of Tabby's answers, for the document of what clients may ask."""

from __future__ import annotations

from pydantic import BaseModel


class TabbyChoice(BaseModel):
    index: int
    text: str


class TabbyCompletionAnswer(BaseModel):
    """`id` goes into /v1/events when the completion was shown, accepted or dismissed."""

    id: str
    choices: list[TabbyChoice]
    model: str
    caps_version: int


class TabbyVersion(BaseModel):
    """Plugins compare `git_describe` with Tabby's versions."""

    build_date: str
    build_timestamp: str
    git_sha: str
    git_describe: str


class TabbyHealth(BaseModel):
    """`chat_model` is left out while nothing chats."""

    model: str
    chat_model: str = ""
    device: str
    arch: str
    cpu_info: str
    cpu_count: int
    cuda_devices: list[str]
    version: TabbyVersion


class TabbySettings(BaseModel):
    disable_client_side_telemetry: bool
