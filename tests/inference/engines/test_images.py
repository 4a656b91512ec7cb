from __future__ import annotations

import io

import pytest
from PIL import Image

from services.cluster.errors import BadRequest
from services.inference.engines.images import decoded


def picture(size: tuple[int, int], kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def test_pictures_arrive_in_rgb() -> None:
    files = [picture((3, 2), "PNG", "RGBA"), picture((5, 4), "JPEG"), picture((2, 2), "GIF", "P")]
    images = decoded(files)
    assert [image.size for image in images] == [(3, 2), (5, 4), (2, 2)]
    assert {image.mode for image in images} == {"RGB"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "Image 0 is none of PNG"),
        (b"<svg/>", "Image 0 is none of PNG"),
        (picture((3, 2), "BMP"), "Image 0 is none of PNG"),
        (picture((64, 64), "JPEG")[:400], "Image 0 is broken"),
        (picture((8000, 5000), "PNG", "1"), "has 40000000 pixels; 32000000 are allowed"),
        (picture((20_000, 20_000), "PNG", "1"), "."),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as refused:
        decoded([data])
    assert refused.value.param == "messages"
