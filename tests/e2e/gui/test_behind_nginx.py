"""The web interface in a real browser, below the path where a real nginx shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.behind_nginx import behind_nginx
from tests.e2e.gui.watched import Watched
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e


async def test_the_web_interface_lives_below_a_path(
    browser: Browser, cluster: Cluster, tmp_path: Path
) -> None:
    async with behind_nginx(cluster, tmp_path) as proxied:
        context = await browser.new_context()
        page = await context.new_page()
        watched = Watched(page, proxied.url)
        await page.goto(cluster.sign_in_link.replace(cluster.url, proxied.url))
        # What follows comes as an event of the live stream.
        await expect(page.get_by_text("Hearth is ready")).to_be_visible()
        assert page.url == f"{proxied.url}/"
        await page.get_by_role("link", name="Playground", exact=True).click()
        await expect(page).to_have_url(f"{proxied.url}/playground")
        await page.get_by_role("textbox", name="Code").fill("numbers = [1, 2, ")
        await page.get_by_role("textbox", name="Longest answer").fill("16")
        await page.get_by_role("button", name="Complete").click()
        await expect(page.get_by_test_id("outcome")).to_contain_text("Done", timeout=60_000)
        await page.get_by_role("tab", name="Chat").click()
        await expect(page).to_have_url(f"{proxied.url}/playground?tab=chat")
        await page.reload()
        await expect(page.get_by_role("tab", name="Chat", selected=True)).to_be_visible()
        await page.goto(f"{proxied.url}/tokens")
        await expect(page.get_by_text(f"{proxied.url}/", exact=True).first).to_be_visible()
        await page.get_by_role("button", name="Signed in as").click()
        await page.get_by_role("menuitem", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert page.url == f"{proxied.url}/sign-in"
        await context.close()
    assert watched.strangers == []
    assert [error for error in watched.errors if "401" not in error] == []
