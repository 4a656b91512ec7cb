"""Pages of lists: a token is the number of entries before the page."""

from __future__ import annotations

from services.cluster.errors import BadRequest

_DEFAULT_SIZE = 100
_MAX_SIZE = 1000
_MAX_TOKEN_DIGITS = 12


def page(page_size: int, page_token: str) -> tuple[int, int]:
    """Start and size. Raises BadRequest."""
    if not 0 <= page_size <= _MAX_SIZE:
        raise BadRequest(
            f"page_size is {page_size}; it must be 1 to {_MAX_SIZE}, or 0 for {_DEFAULT_SIZE}.",
            param="page_size",
        )
    known = page_token.isascii() and page_token.isdigit() and len(page_token) <= _MAX_TOKEN_DIGITS
    if page_token and not known:
        raise BadRequest("page_token must come from the answer before.", param="page_token")
    return int(page_token or 0), page_size or _DEFAULT_SIZE
