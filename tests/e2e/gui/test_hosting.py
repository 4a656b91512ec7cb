"""Model hosting in a real browser: models that are added, fetched, hosted and removed."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.gui.watched import Watched
from tests.e2e.running import ROOT
from tests.inference.weights.hub_double import HubDouble

pytestmark = pytest.mark.e2e

STARTER = ROOT / "services" / "inference" / "starter"


async def test_a_model_is_planned_before_it_is_hosted(watched: Watched) -> None:
    page = watched.page
    await page.goto("/hosting")
    deployment = page.get_by_role("region", name="Deployment starter-coder")
    await expect(deployment).to_contain_text("1 of 1 ready")
    await deployment.get_by_role("button", name="1 replica").click()
    await deployment.get_by_role("button", name="Log of starter-coder-0").click()
    await expect(page.get_by_role("log")).to_contain_text("replica ready")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Host a model").click()
    await page.get_by_role("textbox", name="Search the catalogue").fill("starter")
    await page.get_by_role("button", name="Choose hearth/starter-coder").click()
    plan = page.get_by_role("region", name="Plan")
    await expect(plan).to_contain_text("It fits")
    await page.get_by_role("textbox", name="Share of each device").fill("0.5")
    await expect(plan).to_contain_text("It does not fit")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="More about starter-coder").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_contain_text("nothing answers until another is")
    await page.get_by_role("button", name="Keep it").click()


async def test_a_model_of_a_folder_is_added_and_hosted(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    folder = tmp_path / "own-coder"
    await page.goto("/hosting")
    await page.get_by_role("button", name="Host a model").click()
    await page.get_by_role("button", name="Add another model").click()
    await page.get_by_text("Local folder").click()
    await page.get_by_role("textbox", name="Folder").fill(str(folder))
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_role("form", name="Add a model")).to_contain_text(str(folder) + " ")
    assert "400" in watched.errors.pop()
    shutil.copytree(STARTER, folder)
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_role("region", name="Plan")).to_contain_text("It fits")
    await page.get_by_role("button", name="Host it").click()
    deployment = page.get_by_role("region", name="Deployment own-coder")
    await expect(deployment).to_be_visible()
    await page.get_by_role("button", name="More about own-coder").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await page.get_by_role("button", name="Delete the deployment").click()
    await expect(deployment).to_be_hidden()
    await page.get_by_role("button", name="Host a model").click()
    await page.get_by_role("textbox", name="Search the catalogue").fill("own-coder")
    await page.get_by_role("button", name="Choose own-coder").click()
    await page.get_by_role("button", name="Remove the model").click()
    await page.get_by_role("button", name="Remove it").click()
    await page.get_by_role("textbox", name="Search the catalogue").fill("own-coder")
    await expect(page.get_by_text("No model of the catalogue is like that")).to_be_visible()
    assert folder.exists()


async def test_weights_are_fetched_stopped_and_deleted(watched: Watched, hub: HubDouble) -> None:
    hub.add("owner/tiny-coder", STARTER)
    page = watched.page
    await page.goto("/hosting")
    await page.get_by_role("button", name="Host a model").click()
    await page.get_by_role("button", name="Add another model").click()
    await page.get_by_role("textbox", name="Id on the hub").fill("owner/tiny-coder")
    await page.get_by_role("button", name="What its files do not say").click()
    await page.get_by_role("textbox", name="Tool parser").fill("no-parser")
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_text("vLLM has no parser 'no-parser'")).to_be_visible()
    assert "400" in watched.errors.pop()
    await page.get_by_role("textbox", name="Tool parser").fill("hermes")
    await page.get_by_role("button", name="Add it").click()
    download = page.get_by_role("button", name="Download the weights")
    await expect(download).to_be_visible()
    hub.faults.stall = 1
    await download.click()
    await expect(page.get_by_role("progressbar", name="Weights that have come")).to_be_visible()
    await page.get_by_role("button", name="Stop the download").click()
    await download.click()
    hub.released.set()
    await expect(page.get_by_text("weights are here")).to_be_visible()
    await page.get_by_role("button", name="Delete the weights").click()
    await page.get_by_role("button", name="Delete them").click()
    await expect(download).to_be_visible()
    await removed(page)


async def test_an_archive_becomes_a_model(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    no_model = tmp_path / "no-model.zip"
    with zipfile.ZipFile(no_model, "w") as made:
        made.writestr("README.md", "# Nothing\n")
    await uploaded(page, no_model)
    uploads = page.get_by_role("region", name="Uploads of weights")
    await expect(uploads.get_by_role("alert")).to_contain_text("no-model was not added")
    await expect(uploads.get_by_role("alert")).to_contain_text("config.json")
    assert "400" in watched.errors.pop()
    await uploads.get_by_role("button", name="Dismiss").click()
    await uploaded(page, Path(shutil.make_archive(str(tmp_path / "sent-coder"), "zip", STARTER)))
    await expect(uploads).to_contain_text("sent-coder can be hosted now.")
    await uploads.get_by_role("button", name="Dismiss").click()
    await expect(uploads).to_be_hidden()
    await page.get_by_role("button", name="Host a model").click()
    await page.get_by_role("textbox", name="Search the catalogue").fill("sent-coder")
    await page.get_by_role("button", name="Choose sent-coder").click()
    await expect(page.get_by_role("region", name="Plan")).to_contain_text("It fits")
    await removed(page)


async def uploaded(page: Page, archive: Path) -> None:
    await page.goto("/hosting")
    await page.get_by_role("button", name="Host a model").click()
    await page.get_by_role("button", name="Add another model").click()
    await page.get_by_text("Archive", exact=True).click()
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Archive").click()
    await (await chooser.value).set_files(archive)
    await expect(page.get_by_role("textbox", name="Name")).to_have_value(archive.stem)
    await page.get_by_role("button", name="Upload it").click()


async def removed(page: Page) -> None:
    """The model that is chosen is no longer known."""
    await page.get_by_role("button", name="Remove the model").click()
    await page.get_by_role("button", name="Remove it").click()
    await expect(page.get_by_role("textbox", name="Search the catalogue")).to_be_visible()
