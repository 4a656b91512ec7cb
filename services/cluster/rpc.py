"""gRPC as every process serves and dials it.

A server answers only callers that show the cluster key, turns a HearthError into a status (with
its code in the trailing metadata) and anything else into INTERNAL, and has health and reflection.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.cluster.errors import HearthError, Internal, Unauthenticated, from_wire
from services.cluster.log import request_id_var
from services.cluster.metrics import RPC_SECONDS
from services.cluster.settings import ClusterSettings

log = logging.getLogger(__name__)

_KEY = "hearth-cluster-key"
_REQUEST_ID = "hearth-request-id"
_ERROR = "hearth-error"
_PARAM = "hearth-error-param"
_RETRY = "hearth-error-retry-seconds"
_HEALTH_SERVICE = health.SERVICE_NAME
_MAX_MESSAGE_BYTES = 32 * 1024 * 1024
# The sentence of an error travels in metadata, three bytes for one that is not ASCII, and gRPC may
# drop more than 8 KiB of that.
_MAX_SENTENCE_BYTES = 2500
_OPTIONS = [
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
]
_CHANNEL_OPTIONS = [
    *_OPTIONS,
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]

Behaviour: TypeAlias = Callable[..., Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class _Boundary(grpc.aio.ServerInterceptor):
    """The one place where an exception of a servicer becomes a gRPC status."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        public = method.startswith(f"/{_HEALTH_SERVICE}/")
        if handler.response_streaming:
            return _with_behaviour(handler, self._stream(_behaviour(handler), method, public))
        return _with_behaviour(handler, self._unary(_behaviour(handler), method, public))

    def _enter(self, context: grpc.aio.ServicerContext[Any, Any], public: bool) -> None:
        metadata = dict(context.invocation_metadata() or ())
        request_id_var.set(str(metadata.get(_REQUEST_ID, "")))
        shown = str(metadata.get(_KEY, "")).encode()
        if not public and not hmac.compare_digest(shown, self._key):
            raise Unauthenticated("This cluster answers only processes that hold its cluster key.")

    def _unary(self, behaviour: Behaviour, method: str, public: bool) -> Behaviour:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = time.monotonic()
            try:
                self._enter(context, public)
                answer = await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 the boundary
                await _abort(context, error, method, started)
            _observe(method, grpc.StatusCode.OK, started)
            return answer

        return call

    def _stream(self, behaviour: Behaviour, method: str, public: bool) -> Behaviour:
        async def call(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Message]:
            started = time.monotonic()
            try:
                self._enter(context, public)
                async for answer in behaviour(request, context):
                    yield answer
            except Exception as error:  # noqa: BLE001 the boundary
                await _abort(context, error, method, started)
            _observe(method, grpc.StatusCode.OK, started)

        return call


def _behaviour(handler: Handler) -> Behaviour:
    for behaviour in (
        handler.unary_unary,
        handler.unary_stream,
        handler.stream_unary,
        handler.stream_stream,
    ):
        if behaviour is not None:
            return behaviour
    raise Internal("gRPC gave a handler without a behaviour.")


def _with_behaviour(handler: Handler, behaviour: Behaviour) -> Handler:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(bool(handler.request_streaming), bool(handler.response_streaming))]
    made: Handler = make(
        behaviour,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return made


def _observe(method: str, status: grpc.StatusCode, started: float) -> None:
    RPC_SECONDS.labels(method, status.name).observe(time.monotonic() - started)


async def _abort(
    context: grpc.aio.ServicerContext[Any, Any], error: Exception, method: str, started: float
) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, HearthError):
        log.error("RPC failed", exc_info=error, extra={"method": method})
        error = Internal("The process met a fault of its own; its log has the details.")
    _observe(method, error.grpc_status, started)
    trailing = [(_ERROR, error.code)]
    if error.param:
        trailing.append((_PARAM, error.param))
    if error.retry_after_seconds is not None:
        trailing.append((_RETRY, str(error.retry_after_seconds)))
    await context.abort(error.grpc_status, _carried(error.message), tuple(trailing))


def _carried(sentence: str) -> str:
    """As far as gRPC carries it; without an answer that it can encode, a call would never end."""
    data = sentence.encode(errors="replace")
    if len(data) <= _MAX_SENTENCE_BYTES:
        return data.decode()
    return data[:_MAX_SENTENCE_BYTES].decode(errors="ignore") + "…"


class RpcServer:
    """One gRPC server of a process. Add servicers, start, and say when it serves."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._server = grpc.aio.server(interceptors=[_Boundary(settings.key)], options=_OPTIONS)
        self._settings = settings
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = [_HEALTH_SERVICE, reflection.SERVICE_NAME]

    def add(
        self, name: str, register: Callable[[Any, grpc.aio.Server], None], servicer: Any
    ) -> None:
        """`name` is the full service name, such as hearth.v1.Replica."""
        register(servicer, self._server)
        self._names.append(name)

    async def start(self, port: int = 0) -> str:
        """Returns the HOST:PORT that other processes dial; port 0 takes a free one."""
        reflection.enable_server_reflection(self._names, self._server)
        bound = self._server.add_insecure_port(f"{self._settings.bind_host}:{port}")
        await self._server.start()
        return f"{self._settings.advertise_host}:{bound}"

    async def set_serving(self, serving: bool) -> None:
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ["", *self._names]:
            await self._health.set(name, status)

    async def stop(self, grace_seconds: float) -> None:
        """Takes nothing new and waits for what runs, at most `grace_seconds`."""
        await self._server.stop(grace_seconds)


class _Credentials:
    """Shows the cluster key and passes the request id on."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add(_KEY, self._key)
        if request_id := request_id_var.get():
            metadata.add(_REQUEST_ID, request_id)
        return await continuation(
            grpc.aio.ClientCallDetails(
                details.method,
                details.timeout,
                metadata,
                details.credentials,
                details.wait_for_ready,
            ),
            request,
        )


# grpc.aio files an interceptor under the first kind of call it knows, so each kind has its class.
class _UnaryUnary(_Credentials, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request)


class _UnaryStream(_Credentials, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request)


class _StreamUnary(_Credentials, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request_iterator)


class _StreamStream(_Credentials, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._call(continuation, client_call_details, request_iterator)


def open_channel(address: str, settings: ClusterSettings) -> grpc.aio.Channel:
    """A channel to a process of the cluster; it connects when first used and again when cut."""
    kinds = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)
    return grpc.aio.insecure_channel(
        address, options=_CHANNEL_OPTIONS, interceptors=[kind(settings.key) for kind in kinds]
    )


def translate_rpc_error(error: grpc.aio.AioRpcError) -> HearthError:
    """The HearthError that the peer raised, or the one that says it cannot be reached."""
    trailing = {str(key): str(value) for key, value in (error.trailing_metadata() or ())}
    found = from_wire(error.code(), trailing.get(_ERROR), error.details() or "")
    found.param = trailing.get(_PARAM)
    if retry := trailing.get(_RETRY):
        found.retry_after_seconds = float(retry)
    return found
