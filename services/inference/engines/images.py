"""Pictures as clients send them."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

from services.cluster.errors import BadRequest

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MAX_PIXELS = 32_000_000


def decoded(images: Sequence[bytes]) -> list[Image.Image]:
    """In RGB. Raises BadRequest for what is no picture, or too large to be unpacked."""
    return [_decoded(number, data) for number, data in enumerate(images)]


def _decoded(number: int, data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if (num_pixels := image.width * image.height) > _MAX_PIXELS:
                raise BadRequest(
                    f"Image {number} has {num_pixels} pixels; {_MAX_PIXELS} are allowed.",
                    param="messages",
                )
            return image.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadRequest(
            f"Image {number} is none of {', '.join(_FORMATS)}.", param="messages"
        ) from error
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for broken files
        raise BadRequest(f"Image {number} is broken: {error}.", param="messages") from error
