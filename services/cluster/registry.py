"""Which deployments are wanted and which replicas, adapters, models and processes there are.

Durable records stay until they are deleted. Replicas and processes are leases on being seen: each
puts itself again every few seconds and is forgotten `SEEN_SECONDS` after its last word. Every
change raises an entry in one stream, which `watch` follows; a beat without a change raises none.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.cluster.errors import LeaseLost, NotFound, StoreUnavailable
from services.cluster.jobs.records import JobRecord
from services.cluster.metrics import FENCED_WRITES
from services.cluster.outage import Contact, Outage
from services.cluster.provider_records import ProviderRecord
from services.cluster.records import (
    AdapterRecord,
    DeploymentRecord,
    ModelRecord,
    ProcessRecord,
    Record,
    ReplicaRecord,
    readable,
)
from services.cluster.store.backoff import Backoff
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.toolbox import ToolboxRecord

log = logging.getLogger(__name__)

SEEN_SECONDS = 15.0
BEAT_SECONDS = 3.0
_WATCH_BLOCK_SECONDS = 1.0
_REFRESH_SECONDS = 5.0
_PACE_SECONDS = 0.1

# KEYS: records, beats or "", changes, caps_version, caps digests, "there was a deployment", reply.
# ARGV: id, record or "" to delete, kind, seconds to be seen or 0, caps digest, and what must hold:
# "" (nothing), "first" (there never was a deployment), "new" (no such record) or the record as the
# writer read it.
# Answers whether it was written, and the record before. The client sends it again when the answer
# is late: what depends on the record before leaves a reply, by which the second run knows itself.
_PUT = """
local now = redis.call('TIME')
local id, record, kind, seen, digest = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local condition = ARGV[6]
local depends = record == '' or condition ~= ''
local replied = depends and redis.call('GET', KEYS[7])
if replied then return {1, replied} end
local old = redis.call('HGET', KEYS[1], id)
if not depends and old == record then
  if seen > 0 then redis.call('ZADD', KEYS[2], now[1] + seen, id) end
  return {1, old}
end
if record == '' and not old then return {1, old} end
if condition == 'first' then
  if redis.call('EXISTS', KEYS[6]) == 1 or redis.call('HLEN', KEYS[1]) > 0 then return {0, old} end
elseif condition == 'new' then
  if old then return {0, old} end
elseif condition ~= '' and condition ~= old then return {0, old} end
if depends then redis.call('SET', KEYS[7], old or '', 'EX', 60) end
if kind == 'deployment' then redis.call('SET', KEYS[6], now[1], 'NX') end
if record == '' then
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  digest = ''
else
  redis.call('HSET', KEYS[1], id, record)
  if seen > 0 then redis.call('ZADD', KEYS[2], now[1] + seen, id) end
end
local field = kind .. '/' .. id
local known = redis.call('HGET', KEYS[5], field) or ''
if known ~= digest then
  redis.call('SET', KEYS[4], now[1], 'NX')
  redis.call('INCR', KEYS[4])
  if digest == '' then redis.call('HDEL', KEYS[5], field)
  else redis.call('HSET', KEYS[5], field, digest) end
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 1000, '*', 'kind', kind)
return {1, old}
"""

# The same for the holder of a job. KEYS[8]: the job. ARGV[7]: its fencing token. Answers {-1} when
# it is not this holder's any more.
_PUT_AS_HOLDER = (
    """
local job = redis.call('HMGET', KEYS[8], 'status', 'token')
if job[1] ~= 'running' or job[2] ~= ARGV[7] then return {-1} end
"""
    + _PUT
)

_GET = "return redis.call('HGET', KEYS[1], ARGV[1])"

# One consistent reading. KEYS: the places in the order of `_VIEW_KEYS`. ARGV: for how many
# seconds nobody could renew a record.
_VIEW = """
local since = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1])
local function seen(records, beats)
  local out = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', beats, since, '+inf')) do
    local record = redis.call('HGET', records, id)
    if record then out[#out + 1] = record end
  end
  return out
end
return {
  redis.call('HVALS', KEYS[1]), redis.call('HVALS', KEYS[2]), redis.call('HVALS', KEYS[3]),
  seen(KEYS[4], KEYS[5]), seen(KEYS[6], KEYS[7]), redis.call('GET', KEYS[8]) or '0',
  redis.call('HVALS', KEYS[9]), redis.call('HVALS', KEYS[10])}
"""

_VIEW_KEYS = [
    Keys.DEPLOYMENTS,
    Keys.ADAPTERS,
    Keys.MODELS,
    Keys.REPLICAS,
    Keys.REPLICA_BEATS,
    Keys.PROCESSES,
    Keys.PROCESS_BEATS,
    Keys.CAPS_VERSION,
    Keys.PROVIDERS,
    Keys.TOOLBOX,
]

# KEYS: records, beats. The ids that were not seen for `ARGV[1]` seconds beyond their time.
_UNSEEN = """
local now = tonumber(redis.call('TIME')[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
"""

_PUT_KEYS = [Keys.CHANGES, Keys.CAPS_VERSION, Keys.CAPS_DIGESTS, Keys.DEPLOYED]
_BEATS: Mapping[str, str] = {Keys.REPLICAS: Keys.REPLICA_BEATS, Keys.PROCESSES: Keys.PROCESS_BEATS}

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class ClusterView:
    """Every record of the registry at one moment, by id."""

    deployments: Mapping[str, DeploymentRecord] = field(default_factory=dict)
    adapters: Mapping[str, AdapterRecord] = field(default_factory=dict)
    models: Mapping[str, ModelRecord] = field(default_factory=dict)
    replicas: Mapping[str, ReplicaRecord] = field(default_factory=dict)
    processes: Mapping[str, ProcessRecord] = field(default_factory=dict)
    providers: Mapping[str, ProviderRecord] = field(default_factory=dict)
    caps_version: int = 0
    toolbox: ToolboxRecord = field(default_factory=ToolboxRecord)


class Registry:
    """Writes and reads records. Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._outage = Outage(SEEN_SECONDS)
        self._sweeps = Contact(SEEN_SECONDS)

    async def put_deployment(self, record: DeploymentRecord) -> None:
        await self._put(Keys.DEPLOYMENTS, "deployment", record)

    async def put_first_deployment(self, record: DeploymentRecord) -> bool:
        """Puts it on a cluster that never had a deployment; whether it did."""
        return (await self._put(Keys.DEPLOYMENTS, "deployment", record, "first"))[0]

    async def change_deployment(
        self, deployment_id: str, change: Callable[[DeploymentRecord], DeploymentRecord]
    ) -> DeploymentRecord:
        """Applies `change` to the newest record, again when another writer was faster.

        Whoever wants something and the agent that answers write the same record. Raises NotFound.
        """
        return await self._change(
            Keys.DEPLOYMENTS, "deployment", DeploymentRecord, deployment_id, change
        )

    async def delete_deployment(self, deployment_id: str) -> bool:
        return await self._delete(Keys.DEPLOYMENTS, "deployment", deployment_id)

    async def put_adapter(self, record: AdapterRecord, holder: JobRecord | None = None) -> None:
        """With the holder of a job: raises LeaseLost when the job is not its any more."""
        text, digest = record.model_dump_json(), record.caps_digest
        await self._write(Keys.ADAPTERS, "adapter", record.record_id, text, digest, holder=holder)

    async def delete_adapter(self, adapter_id: str) -> bool:
        return await self._delete(Keys.ADAPTERS, "adapter", adapter_id)

    async def put_model(self, record: ModelRecord) -> None:
        await self._put(Keys.MODELS, "model", record)

    async def add_model(self, record: ModelRecord) -> bool:
        """False, and nothing is written, where there is one of its name."""
        return (await self._put(Keys.MODELS, "model", record, "new"))[0]

    async def delete_model(self, name: str) -> bool:
        return await self._delete(Keys.MODELS, "model", name)

    async def add_provider(self, record: ProviderRecord) -> bool:
        """False, and nothing is written, where there is one of its id."""
        return (await self._put(Keys.PROVIDERS, "provider", record, "new"))[0]

    async def change_provider(
        self, provider_id: str, change: Callable[[ProviderRecord], ProviderRecord]
    ) -> ProviderRecord:
        """As `change_deployment`. Raises NotFound."""
        return await self._change(Keys.PROVIDERS, "provider", ProviderRecord, provider_id, change)

    async def delete_provider(self, provider_id: str) -> bool:
        return await self._delete(Keys.PROVIDERS, "provider", provider_id)

    async def change_toolbox(
        self, change: Callable[[ToolboxRecord], ToolboxRecord]
    ) -> ToolboxRecord:
        """As `change_deployment`; there is always one."""
        return await self._change(
            Keys.TOOLBOX, "toolbox", ToolboxRecord, ToolboxRecord.ID, change, ToolboxRecord()
        )

    async def put_replica(self, record: ReplicaRecord) -> None:
        await self._put(Keys.REPLICAS, "replica", record)

    async def remove_replica(self, replica_id: str) -> bool:
        return await self._delete(Keys.REPLICAS, "replica", replica_id)

    async def put_process(self, record: ProcessRecord) -> None:
        await self._put(Keys.PROCESSES, "process", record)

    async def remove_process(self, process_id: str) -> bool:
        return await self._delete(Keys.PROCESSES, "process", process_id)

    async def view(self) -> ClusterView:
        answer = await self._run(_VIEW, _VIEW_KEYS, [self._outage.lenience_seconds(self._clock())])
        deployments, adapters, models, replicas, processes, caps_version, providers, toolbox = (
            answer
        )
        return ClusterView(
            deployments=_parse(DeploymentRecord, deployments),
            adapters=_parse(AdapterRecord, adapters),
            models=_parse(ModelRecord, models),
            replicas=_parse(ReplicaRecord, replicas),
            processes=_parse(ProcessRecord, processes),
            providers=_parse(ProviderRecord, providers),
            caps_version=int(caps_version),
            toolbox=next(iter(readable(ToolboxRecord, toolbox)), ToolboxRecord()),
        )

    async def sweep(self) -> int:
        """Forgets replicas and processes that were not seen for long; returns how many.

        Reading never shows them; this keeps the records bounded and raises `caps_version`. Whoever
        sweeps does so every few seconds: after a longer silence of Redis, or of this process, it
        waits until everybody could renew again.
        """
        kinds = ((Keys.REPLICAS, "replica"), (Keys.PROCESSES, "process"))
        unseen = [
            (records, kind, record_id)
            for records, kind in kinds
            for record_id in await self._run(_UNSEEN, [_BEATS[records]], [SEEN_SECONDS])
        ]
        if not self._sweeps.is_long(self._clock()):
            return 0
        return sum([await self._delete(*one) for one in unseen])

    async def watch(self) -> AsyncGenerator[ClusterView]:
        """The view now, and again after each change; goes on when Redis was away."""
        last_id = "$"
        backoff = Backoff()
        while True:
            try:
                if last_id == "$":
                    last_id = await self._store.newest_entry(Keys.CHANGES)
                view = await self.view()
            except StoreUnavailable:
                self._outage.failed(self._clock())
                last_id = "$"
                await backoff.pause()
                continue
            backoff.reset()
            yield view
            await asyncio.sleep(_PACE_SECONDS)  # many replicas tell their load all the time
            try:
                last_id = await self._next_change(last_id)
            except StoreUnavailable:
                self._outage.failed(self._clock())
                last_id = "$"

    async def _next_change(self, last_id: str) -> str:
        """Waits for a change, at most until a view without one is due (records expire silently)."""
        for _ in range(int(_REFRESH_SECONDS / _WATCH_BLOCK_SECONDS)):
            entries = await self._store.read_stream(
                Keys.CHANGES, last_id, int(_WATCH_BLOCK_SECONDS * 1000)
            )
            self._outage.answered(self._clock())
            if entries:
                return entries[-1][0]
        return last_id

    async def _run(
        self, source: str, keys: Sequence[str], args: Sequence[str | int | float]
    ) -> Any:
        try:
            answer = await self._store.run(source, keys, args)
        except StoreUnavailable:
            self._outage.failed(self._clock())
            raise
        self._outage.answered(self._clock())
        return answer

    async def _change(
        self,
        key: str,
        name: str,
        kind: type[R],
        record_id: str,
        change: Callable[[R], R],
        absent: R | None = None,
    ) -> R:
        """Raises NotFound, unless `absent` stands for a record that there is not."""
        while True:
            old: str | None = await self._run(_GET, [key], [record_id])
            current = absent if old is None else kind.model_validate_json(old)
            if current is None:
                raise NotFound(f"There is no {name} {record_id}.")
            changed = change(current)
            if changed == current:
                return current
            written, _ = await self._put(key, name, changed, old or "new")
            if written:
                return changed

    async def _put(
        self, key: str, kind: str, record: Record, condition: str = ""
    ) -> tuple[bool, str | None]:
        return await self._write(
            key, kind, record.record_id, record.model_dump_json(), record.caps_digest, condition
        )

    async def _delete(self, key: str, kind: str, record_id: str) -> bool:
        _, old = await self._write(key, kind, record_id, "", "")
        return old is not None

    async def _write(
        self,
        key: str,
        kind: str,
        record_id: str,
        record: str,
        digest: str,
        condition: str = "",
        holder: JobRecord | None = None,
    ) -> tuple[bool, str | None]:
        """Whether it was written, and the record before. Raises LeaseLost for a holder."""
        beats = _BEATS.get(key)
        reply = Keys.REPLY.format(uuid.uuid4().hex)
        keys = [key, beats or Keys.REPLICA_BEATS, *_PUT_KEYS, reply]
        arguments = [record_id, record, kind, SEEN_SECONDS if beats else 0, digest, condition]
        if holder is None:
            written, old = await self._run(_PUT, keys, arguments)
            return bool(written), old
        written, *found = await self._run(
            _PUT_AS_HOLDER, [*keys, Keys.JOB.format(holder.job_id)], [*arguments, holder.token]
        )
        if written < 0:
            FENCED_WRITES.labels(kind).inc()
            raise LeaseLost(f"{holder.holder} lost job {holder.job_id}; it must stop its work.")
        return bool(written), found[0]


def _parse(kind: type[R], values: list[str]) -> dict[str, R]:
    records = sorted(readable(kind, values), key=lambda record: record.record_id)
    return {record.record_id: record for record in records}
