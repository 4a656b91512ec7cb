"""Pages of lists: how long one is, and where the next begins."""

from __future__ import annotations

from services.cluster.errors import BadRequest

_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1000


def page_size(wanted: int) -> int:
    """Raises BadRequest."""
    if wanted < 0:
        raise BadRequest("page_size must not be negative.", param="page_size")
    return min(wanted or _PAGE_SIZE, _MAX_PAGE_SIZE)


def page_start(token: str) -> int:
    """The index at which the page begins. Raises BadRequest."""
    if token and not (token.isascii() and token.isdigit() and len(token) < 12):
        raise bad_token()
    return int(token or 0)


def next_token(start: int, size: int, num_found: int) -> str:
    """`num_found` is how many there are from `start` on, or `size` + 1 for more than a page."""
    return str(start + size) if num_found > size else ""


def bad_token() -> BadRequest:
    return BadRequest(
        "page_token must come from the answer to the same request.", param="page_token"
    )
