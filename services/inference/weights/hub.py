"""What is asked of a hub that speaks the API of Hugging Face.

URLs and answers are huggingface_hub's; the requests are our own (docs/adr/0012-weights.md).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from huggingface_hub import ModelInfo, hf_hub_url
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from services.cluster import VERSION
from services.cluster.artifacts.manifest import safe_path
from services.cluster.errors import (
    BadRequest,
    Conflict,
    HearthError,
    Overloaded,
    Unavailable,
)
from services.inference.weights.files import Chosen, choose_files
from services.inference.weights.hub_refusals import Asked, refusal

SILENT_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_RETRY_SECONDS = 5.0
REPEATABLE = (Overloaded, Unavailable)


@dataclass(frozen=True)
class HubFile:
    """`sha256` is "" for a small file, which has a `git_blob` instead: git's SHA-1 of it."""

    path: str
    size_bytes: int
    sha256: str = ""
    git_blob: str = ""


@dataclass(frozen=True)
class HubModel:
    """A model at one commit; `small` files and `weights` are what is taken of it.

    `gated` is "" or how its makers let people in.
    """

    hub_id: str
    commit: str
    small: tuple[HubFile, ...]
    weights: tuple[HubFile, ...]
    gated: str = ""
    licence: str = ""

    @property
    def files(self) -> tuple[HubFile, ...]:
        return self.small + self.weights

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class Hub:
    """`url` is "" where there is none. Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

    Nobody but `url` and those it redirects to is asked; the token is shown to `url` only.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        ca_bundle: Path | None = None,
        *,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self.has_token = bool(token)
        headers = {"User-Agent": f"hearth/{VERSION}", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            follow_redirects=True,
            timeout=httpx2.Timeout(silent_seconds, connect=_CONNECT_SECONDS),
            verify=ssl.create_default_context(cafile=ca_bundle) if ca_bundle else True,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def describe(self, hub_id: str, revision: str = "") -> HubModel:
        """Raises NotFound, BadRequest for a model that is not served, Conflict, Unavailable."""
        asked = self._asked(hub_id, revision)
        url = f"{self.url}/api/models/{hub_id}"
        if revision:
            url += f"/revision/{quote(revision, safe='')}"
        async with self._opened(asked, url + "?blobs=true", {}) as response:
            text = await _bounded(response)
        try:
            info = ModelInfo(**json.loads(text))  # type: ignore[no-untyped-call]
            return _model(hub_id, info)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(
                f"{self.url} does not answer as a hub of models does ({type(error).__name__});"
                " HEARTH_HUB_URL should be the address of one."
            ) from error

    @asynccontextmanager
    async def stream(
        self, model: HubModel, path: str, first_byte: int = 0, last_byte: int | None = None
    ) -> AsyncGenerator[httpx2.Response]:
        """The bytes of a file from `first_byte` on; a hub may answer with all of them.

        Raises Overloaded and Unavailable, which may be repeated; NotFound and Conflict.
        """
        asked = self._asked(model.hub_id, model.commit)
        url = hf_hub_url(model.hub_id, path, revision=model.commit, endpoint=self.url)
        headers = {}
        if first_byte or last_byte is not None:
            headers["Range"] = f"bytes={first_byte}-{'' if last_byte is None else last_byte}"
        async with self._opened(asked, url, headers) as response:
            yield response

    def _asked(self, hub_id: str, revision: str) -> Asked:
        if not self.url:
            raise Conflict(
                "No hub is configured (HEARTH_HUB_URL is empty); upload the model's weights as an"
                " archive, or name a folder by local_path.",
                param="hub_id",
            )
        try:
            validate_repo_id(hub_id)
        except HFValidationError as error:
            raise BadRequest(
                f"{hub_id!r} is no hub id, which looks like OWNER/MODEL.", param="hub_id"
            ) from error
        return Asked(self.url, hub_id, revision, self.has_token)

    @asynccontextmanager
    async def _opened(
        self, asked: Asked, url: str, headers: dict[str, str]
    ) -> AsyncGenerator[httpx2.Response]:
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                if response.is_error:
                    text = await _bounded(response)
                    raise refusal(asked, response.status_code, response.headers, text)
                if self.url.startswith("https:") and response.url.scheme != "https":
                    raise Conflict(f"{self.url} redirects to a place without TLS; it is not read.")
                yield response
        except HearthError:
            raise
        except httpx2.ProxyError as error:
            raise Unavailable(
                f"The proxy on the way to {self.url} refuses: {error}. It is that of HTTP_PROXY,"
                " HTTPS_PROXY and NO_PROXY.",
                retry_after_seconds=_RETRY_SECONDS,
            ) from error
        except httpx2.RequestError as error:
            if _is_about_certificates(error):
                raise Conflict(
                    f"The certificate of {self.url} is not trusted: {error}. HEARTH_CA_BUNDLE names"
                    " a file with the certificates of those who may sign it."
                ) from error
            raise Unavailable(
                f"{self.url} cannot be reached, or the connection broke:"
                f" {error or type(error).__name__}.",
                retry_after_seconds=_RETRY_SECONDS,
            ) from error


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _bounded(response: httpx2.Response) -> bytes:
    text = bytearray()
    async for data in response.aiter_bytes():
        text += data
        if len(text) > _MAX_ANSWER_BYTES:
            raise Unavailable("The hub's answer is too long to be the description of a model.")
    return bytes(text)


def _model(hub_id: str, info: ModelInfo) -> HubModel:
    found = {file.path: file for file in map(_file, info.siblings or ())}
    chosen: Chosen = choose_files(found.keys(), f"{hub_id} on the hub")
    commit = info.sha or ""
    safe_path(commit)  # it becomes the name of a folder
    for path in (*chosen.small, *chosen.weights):
        safe_path(path)
        if not (found[path].sha256 or found[path].git_blob):
            raise BadRequest(f"The hub does not say the hash of {path} of {hub_id}.")
    return HubModel(
        hub_id=hub_id,
        commit=commit,
        small=tuple(found[path] for path in chosen.small),
        weights=tuple(found[path] for path in chosen.weights),
        gated=str(info.gated) if info.gated else "",
        licence=str(getattr(info.card_data, "license", None) or ""),
    )


def _file(sibling: Any) -> HubFile:
    if sibling.lfs:
        return HubFile(sibling.rfilename, int(sibling.lfs.size), sha256=str(sibling.lfs.sha256))
    return HubFile(sibling.rfilename, int(sibling.size or 0), git_blob=str(sibling.blob_id or ""))
