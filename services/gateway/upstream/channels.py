"""Channels to the processes of the cluster: one for each address, open as long as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import grpc
import grpc.aio

from services.cluster.rpc import open_channel
from services.cluster.settings import ClusterSettings

_FAILED = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)


class Channels:
    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._channels: dict[str, grpc.aio.Channel] = {}

    def to(self, address: str) -> grpc.aio.Channel:
        """It connects when it is first used and again when it was cut."""
        if address not in self._channels:
            self._channels[address] = open_channel(address, self._settings)
        return self._channels[address]

    async def connects(self, address: str, seconds: float) -> bool:
        """Whether somebody answers there; a process that is stopped takes connections and does not.

        At once while the channel is connected.
        """
        channel = self.to(address)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = channel.get_state(try_to_connect=True)
                    if found is grpc.ChannelConnectivity.READY:
                        return True
                    if found in _FAILED:
                        return False
                    await channel.wait_for_state_change(found)
        except TimeoutError:
            return False

    async def close_others(self, addresses: Collection[str]) -> None:
        """All but those to `addresses`."""
        for address in self._channels.keys() - addresses:
            await self._channels.pop(address).close()

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
