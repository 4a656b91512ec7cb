"""The toolbox in a real browser: a command is changed, run in the chat, and put back."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.gui.watched import Watched
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

ANSWER_MS = 60_000  # an engine on two busy cores
CODE = "def double(x):\n    return x + x"


async def test_a_command_is_changed_and_run_in_the_chat(watched: Watched, cluster: Cluster) -> None:
    page = watched.page
    await page.goto("/toolbox")
    await page.get_by_role("button", name="Summarize", exact=True).click()
    form = page.get_by_role("form", name="Command")
    question = form.get_by_role("textbox", name="Message 2")
    await question.fill("Name %CURRENT_FILE%, in %LANGUAGE%")
    await expect(form).to_contain_text("%LANGUAGE% is no placeholder")
    await expect(form.get_by_role("button", name="Save")).to_be_disabled()
    await question.fill("Say what is in %CURRENT_FILE%:\n%CODE_SELECTION%")
    await expect(form.get_by_role("region", name="Preview")).to_contain_text("def area(radius)")
    await form.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name="Summarize")
    await expect(row).to_contain_text("changed")
    await page.get_by_role("link", name="Playground").click()
    await page.get_by_role("tab", name="Chat").click()
    await page.get_by_role("button", name="Toolbox").click()
    await page.get_by_role("menuitem", name="Summarize").click()
    asking = page.get_by_role("dialog")
    await asking.get_by_role("textbox", name="Selected code").fill(f"{CODE}\n")
    await asking.get_by_role("textbox", name="File").fill("double.py")
    async with page.expect_request("**/v1/chat/completions") as sent:
        await asking.get_by_role("button", name="Run").click()
    messages = ((await sent.value).post_data_json or {})["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[1]["content"] == f"Say what is in double.py:\n{CODE}"
    await expect(page.get_by_test_id("outcome")).to_contain_text("Done", timeout=ANSWER_MS)
    await expect(page.get_by_test_id("outcome")).to_contain_text("vllm")
    await page.goto("/toolbox")
    await row.get_by_role("button", name="Summarize").click()
    await form.get_by_role("button", name="Reset to default").click()
    await page.get_by_role("button", name="Reset it").click()
    await expect(row).to_contain_text("default")


async def test_a_command_is_added_switched_off_and_removed(
    watched: Watched, cluster: Cluster
) -> None:
    page = watched.page
    await page.goto("/toolbox")
    await page.get_by_role("button", name="Add command").click()
    form = page.get_by_role("form", name="Command")
    await form.get_by_role("textbox", name="Name").fill("explain")
    await expect(form).to_contain_text("There is one of this name")
    await form.get_by_role("textbox", name="Name").fill("rhyme")
    await form.get_by_role("textbox", name="Label").fill("Rhyme")
    await form.get_by_role("textbox", name="Description").fill("Say it in verse")
    await form.get_by_role("button", name="Add", exact=True).click()
    row = page.get_by_role("row", name="Rhyme")
    await expect(row).to_contain_text("added")
    await row.get_by_role("switch").press("Space")
    await expect(row.get_by_role("switch")).not_to_be_checked()
    with cluster.client() as client:
        commands = {command["name"]: command for command in client.get("/api/v1/toolbox").json()}
        assert not commands["rhyme"]["enabled"]
        assert '"rhyme"' not in client.get("/refact-caps").json()["customization"]
    await row.get_by_role("button", name="Rhyme").click()
    await form.get_by_role("button", name="Remove", exact=True).click()
    await page.get_by_role("button", name="Remove it").click()
    await expect(row).to_have_count(0)


async def test_of_two_editors_the_slower_is_told(watched: Watched, cluster: Cluster) -> None:
    page = watched.page
    await page.goto("/toolbox")
    await page.get_by_role("button", name="Fix typos").click()
    form = page.get_by_role("form", name="Command")
    label = form.get_by_role("textbox", name="Label")
    await label.fill("Mine")
    with cluster.client(cluster.admin_token) as admin:
        commands = {command["name"]: command for command in admin.get("/api/v1/toolbox").json()}
        theirs = {**commands["typos"], "label": "Theirs"}
        body = {key: theirs[key] for key in theirs if key not in ("name", "origin")}
        put = admin.put("/api/v1/toolbox/typos", json=body)
        assert put.status_code == 200, put.text
        await form.get_by_role("button", name="Save").click()
        await expect(form).to_contain_text("Somebody was faster")
        await expect(label).to_have_value("Mine")
        await form.get_by_role("button", name="Show theirs").click()
        await expect(label).to_have_value("Theirs")
        edition = put.json()["edition"]
        admin.delete("/api/v1/toolbox/typos", params={"edition": edition})
    watched.errors.clear()  # the browser says that 409 was answered
