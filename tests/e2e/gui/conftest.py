"""One signed-in browser for all tests of the web interface."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.e2e.gui.watched import Watched
from tests.e2e.running import Cluster

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest_asyncio.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium on this machine (Debian, Ubuntu: apt install chromium)")
    expect.set_options(timeout=30_000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package")
async def signed_in(browser: Browser, cluster: Cluster) -> AsyncIterator[BrowserContext]:
    """Cookies of one sign-in."""
    context = await browser.new_context(base_url=cluster.url)
    page = await context.new_page()
    await page.goto(cluster.sign_in_link)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await page.close()
    yield context
    await context.close()


@pytest_asyncio.fixture
async def watched(signed_in: BrowserContext, cluster: Cluster) -> AsyncIterator[Watched]:
    page = await signed_in.new_page()
    watched = Watched(page, cluster.url)
    yield watched
    await page.close()
    assert watched.errors == []
    assert watched.strangers == []
