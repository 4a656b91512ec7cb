"""A page of the web interface under watch."""

from __future__ import annotations

from playwright.async_api import ConsoleMessage, Page, Request


class Watched:
    """A page, and what it did that a user must never see: errors, and requests to other hosts."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self._url = url
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._see)

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.errors.append(said.text)

    def _see(self, sent: Request) -> None:
        if sent.url.startswith(("http", "ws")) and not sent.url.startswith(self._url):
            self.strangers.append(sent.url)
