"""What an answer of Redis, or none, means for who asked."""

from __future__ import annotations

import re
from dataclasses import dataclass

import redis.exceptions
from redis.exceptions import ConnectionError, MaxConnectionsError, RedisError

from services.cluster.errors import StoreUnavailable

RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Refusal:
    """Why nothing was recorded. `passes` when waiting may help, without a person's help."""

    reason: str
    sentence: str
    passes: bool = True


_AWAY = "Redis does not answer; let it run where HEARTH_REDIS_URL says."
_BY_CODE = {
    "LOADING": Refusal("loading", "Redis still reads its files; ask again in a few seconds."),
    "BUSY": Refusal("busy", "Redis is busy with one long script; ask again in a few seconds."),
    "MASTERDOWN": Refusal("masterdown", "This Redis is a replica that has lost its primary."),
    "READONLY": Refusal(
        "readonly",
        "This Redis is a replica and takes no writes; let HEARTH_REDIS_URL name the primary.",
    ),
    "OOM": Refusal(
        "oom", "Redis has reached its maxmemory and takes no writes; give it more memory."
    ),
    "MISCONF": Refusal(
        "misconf",
        "Redis cannot write to its disk and takes no writes; free some space, or see its log.",
    ),
    "NOREPLICAS": Refusal("noreplicas", "Redis misses the replicas that it must write to."),
    "CLUSTERDOWN": Refusal("clusterdown", "Redis Cluster is down; Hearth needs one plain Redis."),
    "NOAUTH": Refusal(
        "auth", "Redis wants a password; put it into HEARTH_REDIS_URL.", passes=False
    ),
    "WRONGPASS": Refusal(
        "auth", "Redis refused the password in HEARTH_REDIS_URL; put the right one.", passes=False
    ),
    "NOPERM": Refusal(
        "auth",
        "Redis does not let this user do that; give the user of HEARTH_REDIS_URL all commands"
        " on hearth:* keys.",
        passes=False,
    ),
}
# Where the client does not keep the code.
_BY_TEXT = {
    "loading the dataset": _BY_CODE["LOADING"],
    "with the client already authenticated": _BY_CODE["NOAUTH"],
    "invalid username-password pair": _BY_CODE["WRONGPASS"],
}
# Redis 6.2 wraps what a command in a script answered: "... @user_script: 5: -OOM command ...".
_CODE = re.compile(rf"(?:^|[\s-])({'|'.join(_BY_CODE)})\s")


def refusal(error: BaseException) -> Refusal | None:
    """None for an error that is no outage but a fault of ours."""
    if isinstance(error, MaxConnectionsError):
        return Refusal("pool", "This process asks Redis for too much at a time; ask again.")
    if isinstance(error, RedisError):
        code, text = error.status_code or "", str(error)
        if code in _BY_CODE:
            return _BY_CODE[code]
        for part, found in _BY_TEXT.items():
            if part in text:
                return found
        if named := _CODE.search(text):
            return _BY_CODE[named[1]]
    if isinstance(error, redis.exceptions.TimeoutError | TimeoutError):
        return Refusal("timeout", _AWAY)
    if isinstance(error, ConnectionError | OSError):
        return Refusal("connection", _AWAY)
    return None


def unavailable(found: Refusal, error: BaseException) -> StoreUnavailable:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return StoreUnavailable(
        f"{found.sentence} ({said})",
        retry_after_seconds=RETRY_SECONDS if found.passes else None,
    )
