"""Which page of a list is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

_MAX_PAGE_SIZE = 1000
_MAX_TOKEN_CHARS = 64
_MAX_LONG_TOKEN_CHARS = 16384  # it may hold the path of a file

_Size = Annotated[int, Query(ge=0, le=_MAX_PAGE_SIZE, description="Entries; 0: 100.")]
_TOKEN = "The next_page_token of the page before; empty: the first page."


@dataclass(frozen=True)
class Page:
    size: int
    token: str


def _page(
    page_size: _Size = 0,
    page_token: Annotated[str, Query(max_length=_MAX_TOKEN_CHARS, description=_TOKEN)] = "",
) -> Page:
    return Page(page_size, page_token)


def _long_page(
    page_size: _Size = 0,
    page_token: Annotated[str, Query(max_length=_MAX_LONG_TOKEN_CHARS, description=_TOKEN)] = "",
) -> Page:
    return Page(page_size, page_token)


PageWanted = Annotated[Page, Depends(_page)]
LongPageWanted = Annotated[Page, Depends(_long_page)]
