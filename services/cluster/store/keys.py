"""The one table of the keys in Redis: type, what keeps each small, whether a backup has it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

PREFIX = "hearth:"
SCHEMA_VERSION = 2


class KeyType(StrEnum):
    """As Redis answers TYPE."""

    STRING = "string"
    HASH = "hash"
    ZSET = "zset"
    STREAM = "stream"


class Bound(StrEnum):
    """Why a key, or a family of keys, does not grow for ever."""

    SINGLE = "single"  # one value
    RECORDS = "records"  # as many entries as there are records, deleted with theirs
    SEEN = "seen"  # entries are swept when nobody renews them
    EXPIRES = "expires"  # has a TTL from the moment that it is written
    TRIMMED = "trimmed"  # cut to a length with every write


class Key(str):
    """A key's name; `{}` in it stands for an id. `exported`: a backup holds it."""

    type: KeyType
    bound: Bound
    exported: bool

    def __new__(cls, pattern: str, type: KeyType, bound: Bound, *, exported: bool = False) -> Key:
        key = super().__new__(cls, pattern)
        key.type, key.bound, key.exported = type, bound, exported
        return key


_STRING, _HASH, _ZSET, _STREAM = KeyType.STRING, KeyType.HASH, KeyType.ZSET, KeyType.STREAM


class Keys:
    """Every key of the cluster."""

    # string: version of this table, or "import" while a backup is being read in
    SCHEMA = Key("hearth:schema", _STRING, Bound.SINGLE)
    # string: who migrates or imports records at this moment
    SCHEMA_LOCK = Key("hearth:schema-lock", _STRING, Bound.EXPIRES)
    # stream, trimmed: which kind of registry record changed
    CHANGES = Key("hearth:changes", _STREAM, Bound.TRIMMED)
    # a number: raised when the answer to "which models" does
    CAPS_VERSION = Key("hearth:caps_version", _STRING, Bound.SINGLE, exported=True)
    # hash: kind/id → what of a record that answer shows
    CAPS_DIGESTS = Key("hearth:caps-digests", _HASH, Bound.RECORDS, exported=True)
    # string: the record before a write of this name, for the case that its answer was lost
    REPLY = Key("hearth:reply:{}", _STRING, Bound.EXPIRES)

    # hash: deployment_id → DeploymentRecord
    DEPLOYMENTS = Key("hearth:deployments", _HASH, Bound.RECORDS, exported=True)
    # string: when the first deployment there ever was came
    DEPLOYED = Key("hearth:deployed", _STRING, Bound.SINGLE, exported=True)
    # hash: adapter_id → AdapterRecord
    ADAPTERS = Key("hearth:adapters", _HASH, Bound.RECORDS, exported=True)
    # hash: name → ModelRecord
    MODELS = Key("hearth:models", _HASH, Bound.RECORDS, exported=True)
    # hash: provider_id → ProviderRecord
    PROVIDERS = Key("hearth:providers", _HASH, Bound.RECORDS, exported=True)
    # hash of one field: ToolboxRecord
    TOOLBOX = Key("hearth:toolbox", _HASH, Bound.SINGLE, exported=True)
    # hash: replica_id → ReplicaRecord
    REPLICAS = Key("hearth:replicas", _HASH, Bound.SEEN)
    # zset: replica_id by the time its record expires
    REPLICA_BEATS = Key("hearth:replica-beats", _ZSET, Bound.SEEN)
    # hash: process_id → ProcessRecord
    PROCESSES = Key("hearth:processes", _HASH, Bound.SEEN)
    # zset: process_id by the time its record expires
    PROCESS_BEATS = Key("hearth:process-beats", _ZSET, Bound.SEEN)

    # hash of a host: version, shape, and devices as a list of DeviceRecord
    HOST_DEVICES = Key("hearth:host-devices:{}", _HASH, Bound.SEEN)
    # hash of a host: assignment_id → AssignmentRecord
    HOST_ASSIGNMENTS = Key("hearth:host-assignments:{}", _HASH, Bound.SEEN)
    # zset: host_id by the time that its fingerprint expires
    HOST_BEATS = Key("hearth:host-beats", _ZSET, Bound.SEEN)
    # zset: host_id by the time since when it is missed; swept when it does not return
    HOSTS_GONE = Key("hearth:hosts-gone", _ZSET, Bound.SEEN)
    # zset of a kind and a number: where there is room, by how much (devices/scripts.py)
    DEVICE_INDEX = Key("hearth:device-index:{}", _ZSET, Bound.SEEN)
    # hash: holder → assignment_id and host_id
    DEVICE_HOLDERS = Key("hearth:device-holders", _HASH, Bound.RECORDS)
    # a number: the newest version that a host's devices or assignments got
    DEVICES_VERSION = Key("hearth:devices-version", _STRING, Bound.SINGLE)
    # string with TTL: the answer to a release, should it be sent again
    DEVICE_RELEASE = Key("hearth:device-release:{}", _STRING, Bound.EXPIRES)
    # hash: asker → RoomRequest
    ROOM_REQUESTS = Key("hearth:room-requests", _HASH, Bound.SEEN)
    # zset: asker by the time that its request expires
    ROOM_BEATS = Key("hearth:room-beats", _ZSET, Bound.SEEN)

    # hash: holder, token, expires_at
    LEASE = Key("hearth:lease:{}", _HASH, Bound.EXPIRES)
    # a number: the newest fencing token of all leases
    LEASE_TOKENS = Key("hearth:lease-tokens", _STRING, Bound.SINGLE, exported=True)

    # hash: the fields of JobRecord
    JOB = Key("hearth:job:{}", _HASH, Bound.RECORDS, exported=True)
    # zset of a kind: job_id by priority, then by age
    JOB_QUEUE = Key("hearth:job-queue:{}", _ZSET, Bound.RECORDS, exported=True)
    # zset of a kind: job_id by the time it is due
    JOB_DELAYED = Key("hearth:job-delayed:{}", _ZSET, Bound.RECORDS, exported=True)
    # zset of a kind: job_id by the end of its lease
    JOB_RUNNING = Key("hearth:job-running:{}", _ZSET, Bound.RECORDS, exported=True)
    # zset of a kind: job_id by its number
    JOB_HISTORY = Key("hearth:job-history:{}", _ZSET, Bound.RECORDS, exported=True)
    # zset of a kind: job_id by its end; the oldest are forgotten with every end
    JOB_ENDED = Key("hearth:job-ended:{}", _ZSET, Bound.RECORDS, exported=True)
    # hash of a job: ids of those that wait for its end
    JOB_DEPENDENTS = Key("hearth:job-dependents:{}", _HASH, Bound.RECORDS, exported=True)
    # hash of a kind: holder → job_id that it claimed last, for a claim whose answer was lost
    JOB_CLAIMS = Key("hearth:job-claims:{}", _HASH, Bound.RECORDS, exported=True)
    # a number: jobs ever enqueued
    JOB_NUMBER = Key("hearth:job-number", _STRING, Bound.SINGLE, exported=True)
    # stream of a job, trimmed
    JOB_EVENTS = Key("hearth:job-events:{}", _STREAM, Bound.TRIMMED)
    # hash: idempotency key → job_id
    JOB_IDEMPOTENCY = Key("hearth:job-idempotency", _HASH, Bound.RECORDS, exported=True)
    # stream of a kind, trimmed: something may be claimed
    JOB_WAKE = Key("hearth:job-wake:{}", _STREAM, Bound.TRIMMED)

    # hash: project_id → ProjectRecord
    PROJECTS = Key("hearth:projects", _HASH, Bound.RECORDS, exported=True)
    # hash: TEAM/NAME → project_id
    PROJECT_NAMES = Key("hearth:project-names", _HASH, Bound.RECORDS, exported=True)
    # hash of a project: latest scan and dataset
    PROJECT_STATE = Key("hearth:project-state:{}", _HASH, Bound.RECORDS, exported=True)
    # hash of a project: name → source_id
    PROJECT_SOURCES = Key("hearth:project-sources:{}", _HASH, Bound.RECORDS, exported=True)
    # zset of a project: scan_id by its start
    PROJECT_SCANS = Key("hearth:project-scans:{}", _ZSET, Bound.RECORDS, exported=True)
    # zset of a project: dataset_id by its making
    PROJECT_DATASETS = Key("hearth:project-datasets:{}", _ZSET, Bound.RECORDS, exported=True)
    # hash: source_id → SourceRecord
    SOURCES = Key("hearth:sources", _HASH, Bound.RECORDS, exported=True)
    # hash: source_id → SourceCounts
    SOURCE_COUNTS = Key("hearth:source-counts", _HASH, Bound.RECORDS, exported=True)
    # stream of a project, trimmed: a source changed
    SOURCE_EVENTS = Key("hearth:source-events:{}", _STREAM, Bound.TRIMMED)
    # hash of a project: key → source_id
    SOURCE_IDEMPOTENCY = Key("hearth:source-idempotency:{}", _HASH, Bound.RECORDS, exported=True)
    # zset: project_id by the time that its scan is due
    SCANS_DUE = Key("hearth:scans-due", _ZSET, Bound.RECORDS, exported=True)
    # hash: dataset_id → DatasetRecord
    DATASETS = Key("hearth:datasets", _HASH, Bound.RECORDS, exported=True)

    # string: RunState, written by the job's holder
    RUN_STATE = Key("hearth:run-state:{}", _STRING, Bound.RECORDS, exported=True)
    # hash of a run: adapter_id → PublishedAdapter
    RUN_ADAPTERS = Key("hearth:run-adapters:{}", _HASH, Bound.RECORDS, exported=True)
    # string: EvaluationRecord
    EVALUATION = Key("hearth:evaluation:{}", _STRING, Bound.RECORDS, exported=True)

    # hash: user_id → UserRecord
    USERS = Key("hearth:users", _HASH, Bound.RECORDS, exported=True)
    # hash: token_id → TokenRecord
    TOKENS = Key("hearth:tokens", _HASH, Bound.RECORDS, exported=True)
    # stream, trimmed: a token was made or revoked
    TOKEN_EVENTS = Key("hearth:token-events", _STREAM, Bound.TRIMMED)
    # string with TTL: SessionRecord, named by its id's sha256
    SESSION = Key("hearth:session:{}", _STRING, Bound.EXPIRES)
    # string with TTL: user_id, named by its sha256
    SIGN_IN_LINK = Key("hearth:sign-in-link:{}", _STRING, Bound.EXPIRES)

    # hash of NAME/DAY, with TTL: field → sum
    COUNTERS = Key("hearth:counters:{}", _HASH, Bound.EXPIRES, exported=True)
    # zset of a user, trimmed and with TTL: WrittenRow by the time that it was reported
    WRITTEN_ROWS = Key("hearth:written-rows:{}", _ZSET, Bound.EXPIRES, exported=True)
    # string with TTL: the newest batch of counts that a process has sent
    COUNTER_SENDER = Key("hearth:counter-sender:{}", _STRING, Bound.EXPIRES)

    @classmethod
    def all(cls) -> Iterator[tuple[str, Key]]:
        """Every entry of the table by its name here."""
        for name, value in vars(cls).items():
            if isinstance(value, Key):
                yield name, value

    @classmethod
    def find(cls, name: str) -> Key | None:
        """The entry that a key of this name belongs to."""
        family = ":".join(name.split(":", 2)[:2])
        pattern = family if family == name else family + ":{}"
        return next((key for _, key in cls.all() if key == pattern), None)
