"""Whoever speaks for a target, asked the same way: replicas of ours, or a server elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import replica_pb2 as pb
from services.gateway.routing import Target
from services.gateway.upstream.providers import Providers
from services.gateway.upstream.replicas import Replicas


@dataclass(frozen=True)
class Speakers:
    """Raises what `Replicas` and `Providers` raise."""

    replicas: Replicas
    providers: Providers

    def generate(
        self, target: Target, request: pb.GenerateRequest, prefix: bytes
    ) -> AsyncGenerator[pb.GenerateResponse]:
        """Messages until the one with `finish`. Closing the generator cancels what runs."""
        if target.remote:
            return self.providers.generate(target.remote, request)
        return self.replicas.generate(target, request, prefix)

    async def embed(self, target: Target, request: pb.EmbedRequest) -> pb.EmbedResponse:
        if target.remote:
            return await self.providers.embed(target.remote, request)
        return await self.replicas.embed(target, request)

    async def tokenize(self, target: Target, request: pb.TokenizeRequest) -> pb.TokenizeResponse:
        """Raises BadRequest for a server elsewhere: its tokenizer is not here."""
        if target.remote:
            raise BadRequest(
                f"Tokens of {target.model} cannot be counted: its tokenizer is not here.",
                param="model",
            )
        return await self.replicas.tokenize(target, request)
