"""The page Providers in a real browser, with a server elsewhere that answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.e2e.gui.openai_double import ANSWER, KEY, OpenAIDouble, openai_double
from tests.e2e.gui.watched import Watched
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

NAME = "elsewhere/big-chat"
LEAVES = "leaves the site"


@pytest.fixture
def double() -> Iterator[OpenAIDouble]:
    with openai_double() as double:
        yield double


@pytest.fixture(autouse=True)
def providers_of_this_test(cluster: Cluster) -> Iterator[None]:
    """A test that fails half way leaves no provider to the next."""
    yield
    with cluster.client(cluster.admin_token) as admin:
        for provider in admin.get("/api/v1/providers").json():
            admin.delete(f"/api/v1/providers/{provider['provider_id']}")


async def test_a_provider_is_added_asked_and_deleted(
    watched: Watched, double: OpenAIDouble
) -> None:
    page = watched.page
    await page.goto("/providers")
    await expect(page.get_by_text("Nothing leaves this site")).to_be_visible()
    await added(page, double.url, KEY)
    await page.get_by_role("button", name="Test and list models").click()
    await expect(page.get_by_role("status").filter(has_text="3 models")).to_be_visible()
    await page.get_by_role("textbox", name="Search its models").fill("big")
    await page.get_by_role("button", name="Pick big-chat").press("Enter")
    offers = page.get_by_role("list", name="Its models")
    await expect(offers.get_by_role("button", name="Remove big-chat")).to_be_focused()
    await expect(page.get_by_role("textbox", name="Context")).to_have_value("128000")
    await page.get_by_role("textbox", name="Context").fill("32000")
    await page.get_by_role("button", name="Save the models").click()
    await page.get_by_role("button", name="Try big-chat").click()
    await expect(page.get_by_text("Hello from elsewhere.")).to_be_visible()
    await page.get_by_role("button", name="Done").click()

    provider = page.get_by_role("region", name="Provider elsewhere")
    await expect(provider).to_contain_text(LEAVES)
    await expect(provider).to_contain_text("every team")
    await provider.get_by_role("switch", name="Enabled: elsewhere").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Code and questions of whoever")
    await page.get_by_role("button", name="Switch it on").click()
    await expect(provider.get_by_role("switch", name="Enabled: elsewhere")).to_be_checked()

    await chatted(page, double)
    await page.goto("/")
    await expect(page.get_by_role("region", name="Models", exact=True)).to_contain_text(LEAVES)
    await page.goto("/providers")
    await provider.get_by_role("button", name="Delete elsewhere").click()
    await page.get_by_role("button", name="Delete the provider").click()
    await expect(page.get_by_text("Nothing leaves this site")).to_be_visible()


async def added(page: Page, address: str, key: str) -> None:
    """A provider `elsewhere`, with its models open."""
    await page.get_by_role("button", name="Add a provider").click()
    await page.get_by_role("combobox", name="Kind").click()
    await page.get_by_role("option", name="OpenAI-compatible").click()
    await page.get_by_role("textbox", name="Id").fill("elsewhere")
    await page.get_by_role("textbox", name="Address").fill(address)
    await page.get_by_label("Key", exact=True).fill(key)
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.get_by_role("button", name="Test and list models")).to_be_focused()


async def chatted(page: Page, double: OpenAIDouble) -> None:
    await page.goto("/playground?tab=chat")
    await page.get_by_role("combobox", name="Model").click()
    options = page.get_by_role("option")
    await expect(options.last).to_contain_text(NAME)
    await expect(options.last).to_contain_text(LEAVES)
    await expect(options.first).not_to_contain_text(LEAVES)
    await options.last.click()
    await page.get_by_role("textbox", name="Message").fill("Who is there?")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("log")).to_contain_text("".join(ANSWER))
    await expect(page.get_by_test_id("destination")).to_contain_text("elsewhere")
    await expect(page.get_by_test_id("destination")).to_contain_text(LEAVES)
    asked = double.questions[-1]
    assert (asked["model"], asked["messages"][-1]["content"]) == ("big-chat", "Who is there?")


async def test_what_is_wrong_stands_where_it_is(watched: Watched, double: OpenAIDouble) -> None:
    page = watched.page
    await page.goto("/providers")
    await added(page, double.url, "sk-of-somebody")
    await page.get_by_role("button", name="Test and list models").click()
    await expect(page.get_by_role("alert")).to_contain_text("key")
    await page.get_by_role("tab", name="Connection").click()
    await expect(page.get_by_text("Replace the key")).to_be_visible()
    await page.get_by_role("textbox", name="Address").fill("http://10.0.0.7/v1")
    await expect(page.get_by_text("The key was given for another address")).to_be_visible()
    await page.get_by_role("button", name="Replace the key").click()
    await page.get_by_label("Key", exact=True).fill(KEY)
    await page.get_by_role("button", name="Save the changes").click()
    address = page.get_by_role("textbox", name="Address")
    await expect(address).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_text("base_url must begin with https://")).to_be_visible()
    assert "400" in watched.errors.pop()
    await address.fill(double.url)
    await page.get_by_role("button", name="Save the changes").click()
    await page.get_by_role("button", name="Test elsewhere").click()
    await expect(page.get_by_role("status").filter(has_text="3 models")).to_be_visible()


async def test_an_own_cluster_stays_on_site(watched: Watched, double: OpenAIDouble) -> None:
    page = watched.page
    await page.goto("/providers")
    await page.get_by_role("button", name="Add a provider").click()
    await page.get_by_role("combobox", name="Kind").click()
    await page.get_by_role("option", name="Own cluster").click()
    await page.get_by_role("textbox", name="Address").fill(double.url)
    await page.get_by_label("Key", exact=True).fill(KEY)
    await page.get_by_role("button", name="Save and go on").click()
    await page.get_by_role("textbox", name="A model by its name").fill("small-chat")
    await page.keyboard.press("Enter")
    save = page.get_by_role("button", name="Save the models")
    await expect(save).to_be_disabled()  # nobody told its context
    await page.get_by_role("textbox", name="Context").fill("8192")
    await page.get_by_role("combobox", name="Fill in the middle").click()
    await page.get_by_role("option", name="Tokens of qwen2.5-coder").click()
    await save.click()
    await page.get_by_role("button", name="Done").click()
    provider = page.get_by_role("region", name="Provider remote")
    await expect(provider).to_contain_text("stays on site")
    await provider.get_by_role("switch", name="Enabled: remote").press("Space")
    await expect(provider.get_by_role("switch", name="Enabled: remote")).to_be_checked()
    await expect(page.get_by_role("dialog")).to_have_count(0)
