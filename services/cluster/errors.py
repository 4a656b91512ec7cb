"""Every error a caller may see, as one tree. Each class carries its HTTP and its gRPC status.

    HearthError
    ├── BadRequest 400
    │   └── ContextLengthExceeded 400
    ├── PayloadTooLarge 413
    ├── Unauthenticated 401
    ├── PermissionDenied 403
    ├── NotFound 404
    │   ├── ModelNotFound 404
    │   └── AdapterNotLoaded 404
    ├── Conflict 409
    │   ├── DevicesUnavailable 409
    │   └── LeaseLost 409
    ├── Overloaded 429
    ├── Unavailable 503
    │   ├── EngineUnavailable 503
    │   │   └── NotReady 503
    │   └── StoreUnavailable 503
    ├── DeadlineExceeded 504
    ├── OutOfDisk 507
    ├── Unimplemented 501
    └── Internal 500

Raised anywhere; translated in exactly two places: the interceptor of `rpc.py` and the gateway's
error answer. Messages are whole sentences that say what is wrong and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from grpc import StatusCode


class HearthError(Exception):
    """`param` names the offending field, `retry_after_seconds` when a repeat may succeed."""

    http_status: ClassVar[int] = 500
    grpc_status: ClassVar[StatusCode] = StatusCode.INTERNAL
    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds


class BadRequest(HearthError):
    http_status = 400
    grpc_status = StatusCode.INVALID_ARGUMENT
    code = "invalid_request"


class ContextLengthExceeded(BadRequest):
    code = "context_length_exceeded"


class PayloadTooLarge(HearthError):
    http_status = 413
    grpc_status = StatusCode.OUT_OF_RANGE
    code = "payload_too_large"


class Unauthenticated(HearthError):
    http_status = 401
    grpc_status = StatusCode.UNAUTHENTICATED
    code = "invalid_token"


class PermissionDenied(HearthError):
    http_status = 403
    grpc_status = StatusCode.PERMISSION_DENIED
    code = "insufficient_scope"


class NotFound(HearthError):
    http_status = 404
    grpc_status = StatusCode.NOT_FOUND
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class AdapterNotLoaded(NotFound):
    code = "adapter_not_loaded"


class Conflict(HearthError):
    http_status = 409
    grpc_status = StatusCode.FAILED_PRECONDITION
    code = "conflict"


class DevicesUnavailable(Conflict):
    code = "devices_unavailable"


class LeaseLost(Conflict):
    """Another holder has a newer fencing token; nothing was written."""

    grpc_status = StatusCode.ABORTED
    code = "lease_lost"


class Overloaded(HearthError):
    http_status = 429
    grpc_status = StatusCode.RESOURCE_EXHAUSTED
    code = "overloaded"


class Unavailable(HearthError):
    http_status = 503
    grpc_status = StatusCode.UNAVAILABLE
    code = "unavailable"


class EngineUnavailable(Unavailable):
    code = "engine_unavailable"


class NotReady(EngineUnavailable):
    """A model that loads. `progress` says how far it is, in JSON values."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_seconds: float | None = None,
        progress: Mapping[str, object],
    ) -> None:
        super().__init__(message, param=param, retry_after_seconds=retry_after_seconds)
        self.progress = progress


class StoreUnavailable(Unavailable):
    """Redis does not answer; what was asked for was not recorded."""

    code = "store_unavailable"


class DeadlineExceeded(HearthError):
    http_status = 504
    grpc_status = StatusCode.DEADLINE_EXCEEDED
    code = "deadline_exceeded"


class OutOfDisk(HearthError):
    http_status = 507
    grpc_status = StatusCode.DATA_LOSS
    code = "out_of_disk"


class Unimplemented(HearthError):
    http_status = 501
    grpc_status = StatusCode.UNIMPLEMENTED
    code = "unimplemented"


class Internal(HearthError):
    """A fault of ours; the log has the rest."""


def _tree(root: type[HearthError]) -> list[type[HearthError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


_BY_CODE: dict[str, type[HearthError]] = {
    error.code: error for error in reversed(_tree(HearthError))
}
_BY_GRPC_STATUS: dict[StatusCode, type[HearthError]] = {
    error.grpc_status: error for error in reversed(_tree(HearthError))
}


def from_wire(status: StatusCode, code: str | None, message: str) -> HearthError:
    """The error a peer raised, from its gRPC status and, if it is one of ours, its code."""
    if code in _BY_CODE:
        return _BY_CODE[code](message)
    return _BY_GRPC_STATUS.get(status, Internal)(message)
