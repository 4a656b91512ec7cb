"""Servers elsewhere, asked by HTTP: outside providers, and clusters of ours that Hearth did not
start.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from services.cluster import VERSION
from services.cluster.errors import (
    Conflict,
    DeadlineExceeded,
    EngineUnavailable,
    HearthError,
    OutOfDisk,
)
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderModel, ProviderRecord
from services.cluster.sealing import Sealer
from services.gateway.audit import Audit
from services.gateway.metrics import MASKED_SECRETS, OPEN_GENERATIONS, PROVIDER_REQUESTS
from services.gateway.providers.cut_answer import CutAnswer
from services.gateway.providers.events import json_events
from services.gateway.providers.kinds import KINDS
from services.gateway.providers.masking import masked_request, masked_texts
from services.gateway.providers.refusals import refused, silent, unreachable, without_key
from services.gateway.providers.wire import WireAnswer, WireRequest, endless, no_stream, unreadable
from services.gateway.settings import GatewaySettings
from services.gateway.speakers import RemoteModel
from services.gateway.upstream.breakers import Attempt, Breakers, Failure, count_states

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_LIST_SECONDS = 30.0
# What follows an answer's end, so that its connection is used again; what a refusal says.
_REST_SECONDS = 0.25
_REFUSAL_SECONDS = 5.0
# How long the figures of an answer may take whose text is whole.
_FIGURES_SECONDS = 5.0
_MAX_ANSWER_BYTES = 64 * 1024**2
_MAX_REFUSAL_BYTES = 64 * 1024
# What proxies and services say of themselves when they cannot serve anybody.
_DOWN = frozenset({502, 503, 504})
_LIMITS = httpx.Limits(max_connections=512, max_keepalive_connections=64)


class Providers:
    """Raises what `refusals` tells of a provider's answers, DeadlineExceeded, BadRequest, and
    OutOfDisk where what leaves the site could not be audited.

    The environment's proxies and HEARTH_CA_BUNDLE hold. Redirects are not followed: a key goes to
    the address that an administrator gave, and nowhere else.
    """

    def __init__(self, settings: GatewaySettings, sealer: Sealer, audit: Audit) -> None:
        self._settings = settings
        self._sealer = sealer
        self._audit = audit
        self._breakers = Breakers(moved=count_states)
        bundle = settings.ca_bundle
        self._client = httpx.AsyncClient(
            # Compressed events would wait for each other.
            headers={"User-Agent": f"hearth/{VERSION}", "Accept-Encoding": "identity"},
            # None is kept: it would tie the requests of different people to each other.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS),
            limits=_LIMITS,
            verify=ssl.create_default_context(cafile=bundle) if bundle else True,
        )

    async def close(self) -> None:
        await self._client.aclose()

    def forget_others(self, providers: Iterable[ProviderRecord]) -> None:
        """Lets go of what is known of providers that are not there any more."""
        self._breakers.forget_others({_peer(provider) for provider in providers})

    async def generate(
        self, remote: RemoteModel, request: pb.GenerateRequest
    ) -> AsyncGenerator[pb.GenerateResponse]:
        """Messages until the one with `finish`. Closing the generator closes the connection."""
        wire = KINDS[remote.provider.kind].wire
        context, found = request.context, Counter[str]()
        if _masks(remote.provider):
            # A long prompt takes a second, in which others' answers go on.
            request = await asyncio.to_thread(masked_request, request, found)
        question = wire.generation(remote.record, request)
        answer, has_spoken, num_bytes = wire.answer(), False, 0
        if question.ends:
            answer = CutAnswer(answer, question.ends)
        async with self._told(remote, context, found) as usage:
            first_by = asyncio.get_running_loop().time() + self._settings.first_token_seconds
            async with self._sent(remote.provider, question, context.request_id) as response:
                pieces = response.aiter_bytes()
                events = self._timed(json_events(pieces), answer, first_by)
                async with aclosing(events) as timed:
                    async for event in timed:
                        has_spoken = True
                        for message in answer.read(event):
                            num_bytes += message.ByteSize()
                            if num_bytes > _MAX_ANSWER_BYTES:
                                raise endless()
                            yield message
                        if answer.is_over:
                            break
                if not has_spoken:
                    raise no_stream(response.headers.get("content-type", ""))
                last = answer.end()
                usage.MergeFrom(last.finish)
                yield last
                with suppress(TimeoutError, httpx.HTTPError):
                    async with asyncio.timeout(_REST_SECONDS):
                        async for _ in pieces:
                            pass

    async def embed(self, remote: RemoteModel, request: pb.EmbedRequest) -> pb.EmbedResponse:
        wire = KINDS[remote.provider.kind].wire
        context, found = request.context, Counter[str]()
        if _masks(remote.provider):
            request = await asyncio.to_thread(masked_texts, request, found)
        question = wire.embedding(remote.record, request)
        async with self._told(remote, context, found) as usage:
            async with self._sent(remote.provider, question, context.request_id) as response:
                answer = wire.embeddings(await self._json(response))
                if len(answer.embeddings) != len(request.texts or request.token_ids):
                    raise unreadable()
            usage.num_prompt_tokens = answer.num_prompt_tokens
            return answer

    async def models(self, provider: ProviderRecord) -> list[ProviderModel]:
        """What it offers to whoever has the key, by name."""
        wire = KINDS[provider.kind].wire
        try:
            async with (
                asyncio.timeout(_LIST_SECONDS),
                self._sent(provider, WireRequest(wire.models_path)) as response,
            ):
                models = wire.models(await self._json(response))
        except TimeoutError:
            raise self._late("did not answer", _LIST_SECONDS) from None
        return sorted(models, key=lambda model: model.name)

    @asynccontextmanager
    async def _sent(
        self,
        provider: ProviderRecord,
        question: WireRequest,
        owner: str = "",
    ) -> AsyncIterator[httpx.Response]:
        """The head of a good answer; what is not good is raised, without the key in its words.

        A provider that gives no answer is asked nothing for a while, as `Breakers` decides.
        """
        key, peer = self._key(provider), _peer(provider)
        if not self._breakers.admits(peer, owner):
            raise silent(provider, self._breakers.wait_seconds(peer))
        request = self._client.build_request(
            "GET" if question.body is None else "POST",
            provider.base_url + question.path,
            headers=KINDS[provider.kind].wire.headers(key),
            json=question.body,
        )
        with self._breakers.attempt(peer, owner) as attempt:
            response = await self._head(provider, request, attempt)
            try:
                if response.status_code != 200:
                    body_of_it = await self._refusal(response)
                    raise refused(provider, response.status_code, response.headers, key, body_of_it)
                yield response
            except httpx.HTTPError as error:
                raise unreachable(provider, error) from None
            except HearthError as error:
                if isinstance(error, DeadlineExceeded):
                    attempt.failed(Failure.LATE)
                error.message = without_key(error.message, key)
                raise
            finally:
                await response.aclose()

    async def _head(
        self, provider: ProviderRecord, request: httpx.Request, attempt: Attempt
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(self._settings.first_token_seconds):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            attempt.failed(Failure.LATE)
            raise self._late("did not answer", self._settings.first_token_seconds) from None
        except httpx.HTTPError as error:
            if not isinstance(error, httpx.PoolTimeout):
                attempt.failed(Failure.LOST)
            raise unreachable(provider, error) from None
        if response.status_code in _DOWN:
            attempt.failed(Failure.LOST)
        else:
            attempt.heard()
        return response

    def _key(self, provider: ProviderRecord) -> str:
        """ "" for none. Raises EngineUnavailable."""
        try:
            return self._sealer.open(provider.sealed_key) if provider.sealed_key else ""
        except Conflict as error:
            raise EngineUnavailable(
                f"The key of {provider.provider_id} is lost: {error.message}"
            ) from None

    async def _refusal(self, response: httpx.Response) -> bytes:
        """Its beginning: what comes late or is long is left out."""
        data = bytearray()
        seconds = min(_REFUSAL_SECONDS, self._settings.next_token_seconds)
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(seconds):
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > _MAX_REFUSAL_BYTES:
                        break
        return bytes(data[:_MAX_REFUSAL_BYTES])

    async def _timed(
        self, events: AsyncGenerator[dict[str, Any]], answer: WireAnswer, first_by: float
    ) -> AsyncGenerator[dict[str, Any]]:
        """Raises DeadlineExceeded for one that is late. `first_by` is of the loop's clock.

        An answer that is said ends here when nothing follows.
        """
        by, seconds = first_by, self._settings.first_token_seconds
        async with aclosing(events):
            while True:
                try:
                    async with asyncio.timeout_at(by):
                        event = await anext(events, None)
                except TimeoutError:
                    if answer.is_said:
                        return
                    raise self._late("gave no token", seconds) from None
                if event is None:
                    return
                yield event
                seconds = self._settings.next_token_seconds
                if answer.is_said:
                    seconds = min(seconds, _FIGURES_SECONDS)
                by = asyncio.get_running_loop().time() + seconds

    async def _json(self, response: httpx.Response) -> Any:
        try:
            async with asyncio.timeout(self._settings.first_token_seconds):
                return json.loads(await self._bounded(response))
        except TimeoutError:
            raise self._late("did not answer", self._settings.first_token_seconds) from None
        except ValueError:
            raise unreadable() from None

    async def _bounded(self, response: httpx.Response) -> bytes:
        data = bytearray()
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > _MAX_ANSWER_BYTES:
                raise unreadable()
        return bytes(data)

    def _late(self, what: str, seconds: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"The provider {what} within {seconds:g} s.")

    @asynccontextmanager
    async def _told(
        self, remote: RemoteModel, context: pb.RequestContext, masked: Counter[str]
    ) -> AsyncIterator[pb.Finish]:
        """Counts a request, and audits what leaves the site: before it is sent, and its end."""
        provider, usage, outcome = remote.provider, pb.Finish(), "cancelled"
        for kind, count in masked.items():
            MASKED_SECRETS.labels(kind).inc(count)
        who = {"request_id": context.request_id, "provider": provider.provider_id}
        if provider.kind.leaves_site:
            await self._audit.write(
                "provider_request",
                **who,
                user_id=context.user_id,
                team_id=context.team_id,
                model=remote.model,
                masked=dict(masked),
            )
        started = time.monotonic()
        OPEN_GENERATIONS.inc()
        try:
            yield usage
            outcome = "answered"
        except HearthError:
            outcome = "failed"
            raise
        finally:
            OPEN_GENERATIONS.dec()
            PROVIDER_REQUESTS.labels(provider.provider_id, outcome).inc()
            if provider.kind.leaves_site:
                await self._tell_end(
                    **who,
                    outcome=outcome,
                    prompt_tokens=usage.num_prompt_tokens,
                    generated_tokens=usage.num_generated_tokens,
                    seconds=round(time.monotonic() - started, 3),
                )

    async def _tell_end(self, **facts: Any) -> None:
        try:
            await self._audit.write("provider_answer", **facts)
        except OutOfDisk:
            log.exception("an answer that has come could not be audited", extra=facts)


def _peer(provider: ProviderRecord) -> str:
    return f"{provider.provider_id}@{provider.base_url}"


def _masks(provider: ProviderRecord) -> bool:
    return provider.kind.leaves_site and provider.masks_secrets
