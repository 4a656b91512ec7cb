"""The Replica service: translate, call, translate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from services.cluster.errors import BadRequest, EngineUnavailable, NotFound
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import ReplicaPhase
from services.inference.engines.base import Engine
from services.inference.serving.adapters import ReplicaAdapters
from services.inference.serving.embedding_inputs import inputs_of
from services.inference.serving.generations import Generations
from services.inference.serving.scores import Scores
from services.inference.serving.session import Session
from services.inference.serving.sleep import Bed
from services.inference.serving.state import ReplicaState

_CHUNK_BYTES = 1024 * 1024


class ReplicaServicer(rpc.ReplicaServicer):
    """`adapters` is set when the engine has started."""

    adapters: ReplicaAdapters

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._bed = Bed(state)

    async def Generate(
        self, request: pb.GenerateRequest, context: object
    ) -> AsyncGenerator[pb.GenerateResponse]:
        async with aclosing(self._generations().run(request)) as responses:
            async for response in responses:
                yield response

    async def Session(
        self, requests: AsyncIterator[pb.SessionRequest], context: object
    ) -> AsyncGenerator[pb.SessionResponse]:
        session = Session(self._generations().run)
        async with aclosing(session.responses(requests)) as responses:
            async for response in responses:
                yield response

    async def Score(self, request: pb.ScoreRequest, context: object) -> pb.ScoreResponse:
        scores = self._scores()
        async with self._generations().beside():
            return await scores.of(request)

    async def ScoreStream(
        self, requests: AsyncIterator[pb.ScoreRequest], context: object
    ) -> AsyncGenerator[pb.ScoreResponse]:
        scores = self._scores()
        async with self._generations().beside(), aclosing(scores.stream(requests)) as responses:
            async for response in responses:
                yield response

    async def Embed(self, request: pb.EmbedRequest, context: object) -> pb.EmbedResponse:
        engine = self._serving()
        inputs = inputs_of(request, engine.tokenizer.num_tokens)
        async with self._generations().beside():
            found = await engine.embed(inputs)
        return pb.EmbedResponse(
            embeddings=[pb.Embedding(values=vector) for vector in found.vectors],
            num_prompt_tokens=found.num_prompt_tokens,
        )

    async def Tokenize(self, request: pb.TokenizeRequest, context: object) -> pb.TokenizeResponse:
        engine, generations = self._serving(), self._generations()
        kind = request.WhichOneof("input")
        if kind == "tokens":
            built = generations.prompts.from_tokens(request.tokens.ids)
        elif kind == "prompt":
            built = await generations.build(request.prompt, None)
        else:
            raise BadRequest("Send a prompt or token ids.")
        text = built.text or engine.tokenizer.decode(built.token_ids)
        return pb.TokenizeResponse(tokens=pb.TokenIds(ids=built.token_ids), text=text)

    async def GetTokenizer(
        self, request: pb.GetTokenizerRequest, context: object
    ) -> AsyncGenerator[pb.TokenizerChunk]:
        place = self._started().tokenizer.file
        if place is None:
            raise NotFound("This replica's engine has no tokenizer.json.")
        data = await asyncio.to_thread(place.read_bytes)
        for start in range(0, len(data), _CHUNK_BYTES):
            yield pb.TokenizerChunk(data=data[start : start + _CHUNK_BYTES])

    async def LoadAdapter(
        self, request: pb.LoadAdapterRequest, context: object
    ) -> pb.LoadAdapterResponse:
        self._serving()
        seconds = await self.adapters.load(request.adapter_id, by_hand=True)
        return pb.LoadAdapterResponse(load_seconds=seconds)

    async def UnloadAdapter(
        self, request: pb.UnloadAdapterRequest, context: object
    ) -> pb.UnloadAdapterResponse:
        self._serving()
        await self.adapters.unload(request.adapter_id)
        return pb.UnloadAdapterResponse()

    async def Sleep(self, request: pb.SleepRequest, context: object) -> pb.SleepResponse:
        engine, generations = self._started(), self._started_generations()
        num_aborted = await self._bed.sleep(engine, generations, request.grace_seconds)
        return pb.SleepResponse(num_aborted=num_aborted)

    async def WakeUp(self, request: pb.WakeUpRequest, context: object) -> pb.WakeUpResponse:
        await self._bed.wake_up(self._started(), self._started_generations())
        return pb.WakeUpResponse()

    async def GetStatus(
        self, request: pb.GetReplicaStatusRequest, context: object
    ) -> pb.ReplicaStatus:
        return self._state.status()

    def _started(self) -> Engine:
        """The engine. Raises EngineUnavailable while there is none, or a dead one."""
        engine = self._state.engine
        if engine is None or engine.errored or self._state.generations is None:
            raise EngineUnavailable(
                f"This replica is {self._state.phase}: {self._state.detail or 'no engine yet'}.",
                retry_after_seconds=5,
            )
        return engine

    def _serving(self) -> Engine:
        engine = self._started()
        if self._state.phase is not ReplicaPhase.READY:
            raise EngineUnavailable(
                f"This replica is {self._state.phase}; ask again.", retry_after_seconds=5
            )
        return engine

    def _generations(self) -> Generations:
        self._serving()
        return self._started_generations()

    def _started_generations(self) -> Generations:
        generations = self._state.generations
        if generations is None:
            raise EngineUnavailable("This replica has no engine yet.", retry_after_seconds=5)
        return generations

    def _scores(self) -> Scores:
        return Scores(self._serving(), self._generations())
