"""What an image's first bytes say that it is."""

from __future__ import annotations

from services.cluster.errors import BadRequest

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


def media_type(image: bytes) -> str:
    """Raises BadRequest for what no model reads."""
    for signature, kind in _SIGNATURES.items():
        if image.startswith(signature):
            return kind
    if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
        return "image/webp"
    raise BadRequest("An image must be a PNG, JPEG, WebP or GIF file.", param="messages")
