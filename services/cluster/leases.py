"""Time-bound exclusive rights with fencing tokens (Kleppmann, "How to do distributed locking").

Time is Redis TIME. A lease that expired may be renewed by its holder as long as nobody else took
it: its token is then still the newest. Whoever writes something that a lease protects passes the
token, and the writing script refuses an old one.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.cluster.errors import LeaseLost
from services.cluster.metrics import FENCED_WRITES
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys

# A lease that nobody renews is kept so many times its length, for a holder that comes back.
_KEPT_LENGTHS = 100
_RELEASED_SECONDS = 60  # how long a repeated release is recognised

# KEYS: lease, tokens. ARGV: holder, ttl in seconds. Answers the token, or false.
_ACQUIRE = f"""
local now = redis.call('TIME')
local time = now[1] + now[2] / 1000000
local expires_at = tonumber(redis.call('HGET', KEYS[1], 'expires_at') or '0')
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] and expires_at > time then return false end
local token = redis.call('INCR', KEYS[2])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token,
  'expires_at', string.format('%.6f', time + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 1000 * {_KEPT_LENGTHS}))
return token
"""

# KEYS: lease. ARGV: token, ttl in seconds.
_RENEW = f"""
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'expires_at',
  string.format('%.6f', now[1] + now[2] / 1000000 + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 1000 * {_KEPT_LENGTHS}))
return 1
"""

# KEYS: lease. ARGV: token. A repetition answers as the first time.
_RELEASE = f"""
if redis.call('HGET', KEYS[1], 'released') == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'released', ARGV[1])
redis.call('EXPIRE', KEYS[1], {_RELEASED_SECONDS})
return 1
"""


@dataclass(frozen=True)
class Lease:
    """`token` grows with every acquisition of any lease."""

    name: str
    holder: str
    token: int
    ttl_seconds: float


class Leases:
    """Raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def acquire(self, name: str, holder: str, ttl_seconds: float) -> Lease | None:
        """None while another holder's lease runs. The same holder gets a newer token."""
        token = await self._store.run(
            _ACQUIRE, [Keys.LEASE.format(name), Keys.LEASE_TOKENS], [holder, ttl_seconds]
        )
        return Lease(name, holder, int(token), ttl_seconds) if token else None

    async def renew(self, lease: Lease) -> None:
        """Raises LeaseLost when another holder took it, or it was released."""
        if not await self._store.run(
            _RENEW, [Keys.LEASE.format(lease.name)], [lease.token, lease.ttl_seconds]
        ):
            FENCED_WRITES.labels("lease").inc()
            raise LeaseLost(
                f"{lease.holder} lost the lease on {lease.name}; it must stop its work."
            )

    async def release(self, lease: Lease) -> bool:
        """False when it was lost before."""
        return bool(await self._store.run(_RELEASE, [Keys.LEASE.format(lease.name)], [lease.token]))
