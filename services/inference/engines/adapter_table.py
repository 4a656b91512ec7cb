"""Which adapters are loaded, and who uses them: unloading waits for the last user."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from services.cluster.errors import AdapterNotLoaded, Overloaded


class AdapterTable:
    """Changes of one adapter follow each other; those of different adapters wait for nobody."""

    def __init__(self, max_loaded: int) -> None:
        self._max_loaded = max_loaded
        self._loaded: set[str] = set()
        self._changing: dict[str, asyncio.Lock] = {}
        self._num_changes: Counter[str] = Counter()
        self._num_users: Counter[str] = Counter()
        self._unused: dict[str, asyncio.Event] = {}

    @property
    def loaded(self) -> tuple[str, ...]:
        """Sorted ids of those that answer; one that is being unloaded is not among them."""
        return tuple(sorted(self._loaded))

    @property
    def has_room(self) -> bool:
        return self._num_present < self._max_loaded

    @property
    def _num_present(self) -> int:
        """Those that are being loaded or unloaded have a place in the engine as well."""
        return len(self._loaded | self._changing.keys())

    @contextmanager
    def using(self, adapter_id: str) -> Iterator[None]:
        """Keeps an adapter loaded inside the block; "" is the base. Raises AdapterNotLoaded."""
        if not adapter_id:
            yield
            return
        if adapter_id not in self._loaded:
            raise AdapterNotLoaded(f"This replica has no adapter {adapter_id} loaded.")
        self._num_users[adapter_id] += 1
        try:
            yield
        finally:
            self._num_users[adapter_id] -= 1
            if not self._num_users[adapter_id]:
                del self._num_users[adapter_id]
                if adapter_id in self._unused:
                    self._unused[adapter_id].set()

    @asynccontextmanager
    async def loading(self, adapter_id: str) -> AsyncIterator[bool]:
        """False when there is nothing to do; else it is loaded when the block ends well."""
        async with self._change(adapter_id):
            if adapter_id in self._loaded:
                yield False
                return
            if self._num_present > self._max_loaded:
                raise Overloaded(
                    f"{self._max_loaded} adapters are loaded, which is this replica's limit"
                    " (HEARTH_MAX_LOADED_ADAPTERS); unload one first."
                )
            yield True
            self._loaded.add(adapter_id)

    @asynccontextmanager
    async def unloading(self, adapter_id: str) -> AsyncIterator[None]:
        """The block runs when nobody uses the adapter any more and nobody new can.

        Cancelled while it waits, the adapter stays loaded. Raises AdapterNotLoaded.
        """
        async with self._change(adapter_id):
            if adapter_id not in self._loaded:
                raise AdapterNotLoaded(f"This replica has no adapter {adapter_id} loaded.")
            self._loaded.discard(adapter_id)
            if self._num_users[adapter_id]:
                unused = self._unused[adapter_id] = asyncio.Event()
                try:
                    await unused.wait()
                except asyncio.CancelledError:
                    self._loaded.add(adapter_id)
                    raise
                finally:
                    del self._unused[adapter_id]
            yield

    @asynccontextmanager
    async def _change(self, adapter_id: str) -> AsyncIterator[None]:
        """One change of an adapter at a time; its lock goes with the last that wants it."""
        lock = self._changing.setdefault(adapter_id, asyncio.Lock())
        self._num_changes[adapter_id] += 1
        try:
            async with lock:
                yield
        finally:
            self._num_changes[adapter_id] -= 1
            if not self._num_changes[adapter_id]:
                del self._num_changes[adapter_id], self._changing[adapter_id]
