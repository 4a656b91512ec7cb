"""The files of a dataset, as datascan writes them: one JSON object a line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from services.cluster.errors import BadRequest

TRAIN = "train.jsonl"
TEST = "test.jsonl"


class DatasetFile(msgspec.Struct, frozen=True):
    """`path` is relative to its source; `sha256` is that of the text."""

    path: str
    language: str
    text: str
    sha256: str


_decoder: msgspec.json.Decoder[DatasetFile] = msgspec.json.Decoder(DatasetFile)


def read_files(place: Path) -> list[DatasetFile]:
    """Raises BadRequest when a line is not what datascan writes; [] when the file is absent."""
    if not place.is_file():
        return []
    found = []
    with place.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found.append(_decoder.decode(line))
            except msgspec.DecodeError as error:
                raise BadRequest(
                    f"Line {number} of {place.name} is no file of a dataset: {error}."
                ) from error
    return found
