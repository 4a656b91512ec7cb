"""Users, their tokens and sessions, and the links that sign an administrator in.

A secret is shown once and stored as its SHA-256: it has 256 random bits, so a slow hash adds
nothing. A token reads `hearth_ID_SECRET`; the id finds the record, the hash proves the secret.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from enum import StrEnum

from services.cluster.errors import BadRequest, NotFound, Unauthenticated
from services.cluster.records import Record, readable
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

TOKEN_PREFIX = "hearth"
SIGN_IN_LINK_SECONDS = 15 * 60
SESSION_SECONDS = 14 * 24 * 3600
_SECRET_BYTES = 32
_LATEST_AT = 253_402_300_800.0  # the end of the year 9999


class Scope(StrEnum):
    COMPLETIONS = "completions"
    MODELS_READ = "models:read"
    ADMIN = "admin"


SCOPES = frozenset(Scope)

# KEYS: users, id counter field is not needed: the first administrator has a fixed id.
_ENSURE_ADMIN = """
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
"""

# KEYS: tokens, token events. ARGV: token_id, record or "" to revoke.
_WRITE_TOKEN = """
local known = redis.call('HEXISTS', KEYS[1], ARGV[1])
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'token_id', ARGV[1])
return known
"""


class UserRecord(Record):
    user_id: str
    name: str
    role: str
    team_id: str = ""
    created_at: float

    @property
    def record_id(self) -> str:
        return self.user_id


class TokenRecord(Record):
    """`expires_at` 0 means never."""

    token_id: str
    user_id: str
    team_id: str = ""
    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float = 0.0

    @property
    def record_id(self) -> str:
        return self.token_id


class SessionRecord(Record):
    """A browser that signed in. `csrf_token` must come back in a header of unsafe requests."""

    user_id: str
    csrf_token: str
    created_at: float
    expires_at: float


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Identity:
    """Writes and reads who may do what. Raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ensure_admin(self) -> UserRecord:
        """The first administrator, made at the first start."""
        admin = UserRecord(user_id="admin", name="admin", role="admin", created_at=time.time())
        found = await self._store.run(
            _ENSURE_ADMIN, [Keys.USERS], [admin.user_id, admin.model_dump_json()]
        )
        return UserRecord.model_validate_json(found)

    async def user(self, user_id: str) -> UserRecord:
        async with self._store.answering():
            found = await self._store.redis.hget(Keys.USERS, user_id)
        if found is None:
            raise NotFound(f"There is no user {user_id}.")
        return UserRecord.model_validate_json(found)

    async def create_sign_in_link(self) -> str:
        """The secret part of a link that signs the administrator in once, within 15 minutes."""
        admin = await self.ensure_admin()
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        async with self._store.answering():
            await self._store.redis.set(
                Keys.SIGN_IN_LINK.format(digest(secret)), admin.user_id, ex=SIGN_IN_LINK_SECONDS
            )
        return secret

    async def redeem_sign_in(self, secret: str) -> tuple[str, SessionRecord]:
        """The session's secret id and its record. A link works once."""
        async with self._store.answering():
            user_id = await self._store.redis.getdel(Keys.SIGN_IN_LINK.format(digest(secret)))
        if user_id is None:
            raise Unauthenticated(
                "This sign-in link was used already or is older than 15 minutes."
                " `make admin-link` prints a new one."
            )
        now = time.time()
        session_id = secrets.token_urlsafe(_SECRET_BYTES)
        record = SessionRecord(
            user_id=str(user_id),
            csrf_token=secrets.token_urlsafe(_SECRET_BYTES),
            created_at=now,
            expires_at=now + SESSION_SECONDS,
        )
        async with self._store.answering():
            await self._store.redis.set(
                Keys.SESSION.format(digest(session_id)),
                record.model_dump_json(),
                ex=SESSION_SECONDS,
            )
        return session_id, record

    async def session(self, session_id: str) -> SessionRecord | None:
        async with self._store.answering():
            found = await self._store.redis.get(Keys.SESSION.format(digest(session_id)))
        return SessionRecord.model_validate_json(found) if found else None

    async def delete_session(self, session_id: str) -> None:
        async with self._store.answering():
            await self._store.redis.delete(Keys.SESSION.format(digest(session_id)))

    async def create_token(
        self, user_id: str, name: str, scopes: frozenset[Scope], expires_at: float = 0.0
    ) -> tuple[str, TokenRecord]:
        """The token's text, which is never shown again, and its record."""
        if not name.strip() or len(name) > 100:
            raise BadRequest("A token needs a name of 1 to 100 characters.", param="name")
        if not scopes:
            raise BadRequest(
                f"A token needs at least one scope of: {', '.join(sorted(SCOPES))}.", param="scopes"
            )
        if expires_at and not time.time() < expires_at < _LATEST_AT:
            raise BadRequest(
                "The token would expire in the past or after the year 9999; 0 means never.",
                param="expires_at",
            )
        token_id = secrets.token_hex(6)
        text = f"{TOKEN_PREFIX}_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        record = TokenRecord(
            token_id=token_id,
            user_id=user_id,
            name=name.strip(),
            sha256=digest(text),
            scopes=tuple(sorted(scopes)),
            created_at=time.time(),
            expires_at=expires_at,
        )
        await self._store.run(
            _WRITE_TOKEN, [Keys.TOKENS, Keys.TOKEN_EVENTS], [token_id, record.model_dump_json()]
        )
        return text, record

    async def revoke_token(self, token_id: str) -> None:
        known = await self._store.run(
            _WRITE_TOKEN, [Keys.TOKENS, Keys.TOKEN_EVENTS], [token_id, ""]
        )
        if not known:
            raise NotFound(f"There is no token {token_id}.")

    async def list_tokens(self, user_id: str | None = None) -> list[TokenRecord]:
        """Newest first; of one user, or of all."""
        async with self._store.answering():
            values = await self._store.redis.hvals(Keys.TOKENS)
        records = readable(TokenRecord, values)
        mine = [record for record in records if user_id in (None, record.user_id)]
        return sorted(mine, key=lambda record: -record.created_at)
