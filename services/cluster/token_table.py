"""All tokens in the memory of one process, so that no request waits for Redis."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time

from services.cluster.errors import StoreUnavailable
from services.cluster.identity import TOKEN_PREFIX, Identity, TokenRecord, digest
from services.cluster.records import readable
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.tasks import end

log = logging.getLogger(__name__)

_BLOCK_MILLISECONDS = 1000
_RETRY_SECONDS = 0.5


class TokenTable:
    """Follows the stream of token events: a revoked token is refused within a second.

    While Redis is away the table stays as it was; `stale_seconds` says for how long, and the owner
    decides when that is too long.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._identity = Identity(store)
        self._tokens: dict[str, TokenRecord] = {}
        self._fresh_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the table is loaded. Raises StoreUnavailable when Redis is away."""
        last_id = await self._load()
        self._task = asyncio.create_task(self._follow(last_id), name="token-table")

    async def close(self) -> None:
        await end(self._task)

    @property
    def stale_seconds(self) -> float:
        return time.monotonic() - self._fresh_at

    def find(self, text: str) -> TokenRecord | None:
        """The record of a token's text, or None for one that is unknown, revoked or expired."""
        prefix, _, rest = text.partition("_")
        token_id, _, _ = rest.partition("_")
        record = self._tokens.get(token_id)
        if prefix != TOKEN_PREFIX or record is None:
            return None
        if not hmac.compare_digest(digest(text), record.sha256):
            return None
        if record.expires_at and record.expires_at <= time.time():
            return None
        return record

    async def _load(self) -> str:
        """Reads the stream's end before the table: what comes in between is read twice."""
        newest = await self._store.newest_entry(Keys.TOKEN_EVENTS)
        tokens = await self._identity.list_tokens()
        self._tokens = {record.token_id: record for record in tokens}
        self._fresh_at = time.monotonic()
        return newest

    async def _follow(self, last_id: str) -> None:
        lost = False
        while True:
            try:
                if lost:
                    last_id, lost = await self._load(), False
                entries = await self._store.read_stream(
                    Keys.TOKEN_EVENTS, last_id, _BLOCK_MILLISECONDS
                )
                self._fresh_at = time.monotonic()
                for entry, fields in entries:
                    await self.refresh(fields["token_id"])
                    last_id = entry
            except StoreUnavailable:
                lost = True
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:  # the loop's boundary: without it revoked tokens would go on
                log.exception("following the tokens failed; they are all read again")
                lost = True
                await asyncio.sleep(_RETRY_SECONDS)

    async def refresh(self, token_id: str) -> None:
        """Takes over a change that was made here, before anybody is told of it."""
        async with self._store.answering():
            found = await self._store.redis.hget(Keys.TOKENS, token_id)
        self._tokens.pop(token_id, None)
        for record in readable(TokenRecord, [found] if found else []):
            self._tokens[token_id] = record
