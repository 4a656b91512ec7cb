"""Token ids over a stream of bytes: the cheapest way that still has one message for each step."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

READY = "ready"  # the server's line of output when it takes frames
_HEAD = struct.Struct("<IHH")


@dataclass(frozen=True)
class Frame:
    """`number` says which request. A request is one frame, its answer many; `last` ends it."""

    number: int
    token_ids: Sequence[int]
    last: bool = False

    def encode(self) -> bytes:
        head = _HEAD.pack(self.number, self.last, len(self.token_ids))
        return head + array("I", self.token_ids).tobytes()


class FrameReader:
    """Cuts what arrived into frames; the rest waits for more."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        data = self._rest + data
        place = 0
        while len(data) - place >= _HEAD.size:
            number, last, num_tokens = _HEAD.unpack_from(data, place)
            end = place + _HEAD.size + 4 * num_tokens
            if end > len(data):
                break
            token_ids = array("I", data[place + _HEAD.size : end])
            place = end
            yield Frame(number, token_ids, bool(last))
        self._rest = data[place:]
