"""Browser sessions, kept in memory for seconds so that a page's requests do not wait for Redis."""

from __future__ import annotations

import time
from collections import deque

from services.cluster.errors import Overloaded
from services.cluster.identity import Identity, SessionRecord, UserRecord

_KEPT_SECONDS = 10.0
_MAX_KEPT = 1000
_SIGN_IN_WINDOW_SECONDS = 60.0
_MAX_SIGN_INS = 10


class Sessions:
    """A session that was ended here is gone at once, on another gateway within 10 s."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._kept: dict[str, tuple[float, SessionRecord, UserRecord]] = {}
        self._sign_ins: dict[str, deque[float]] = {}

    async def find(self, session_id: str) -> tuple[SessionRecord, UserRecord] | None:
        """None for a session that is unknown or over."""
        now = time.monotonic()
        kept = self._kept.get(session_id)
        if kept and now - kept[0] < _KEPT_SECONDS:
            return kept[1], kept[2]
        record = await self._identity.session(session_id)
        if record is None or record.expires_at <= time.time():
            self._kept.pop(session_id, None)
            return None
        user = await self._identity.user(record.user_id)
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[session_id] = (now, record, user)
        return record, user

    async def sign_in(self, link: str, client: str) -> tuple[str, SessionRecord]:
        """Raises Unauthenticated, and Overloaded for a client that tries too often."""
        now = time.monotonic()
        tries = self._sign_ins.setdefault(client, deque())
        while tries and now - tries[0] > _SIGN_IN_WINDOW_SECONDS:
            tries.popleft()
        if len(tries) >= _MAX_SIGN_INS:
            raise Overloaded(
                "Too many sign-ins from this address. Wait a minute.",
                retry_after_seconds=_SIGN_IN_WINDOW_SECONDS,
            )
        tries.append(now)
        if len(self._sign_ins) > _MAX_KEPT:
            self._sign_ins = {client: tries}
        return await self._identity.redeem_sign_in(link)

    async def sign_out(self, session_id: str) -> None:
        self._kept.pop(session_id, None)
        await self._identity.delete_session(session_id)
