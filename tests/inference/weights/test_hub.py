from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from services.cluster.errors import BadRequest, Conflict, HearthError, NotFound, Unavailable
from services.inference.weights.hub import Hub
from tests.inference.weights.conftest import BIG, MODEL
from tests.inference.weights.hub_double import COMMIT, HubDouble, hub_double


async def refused(hub: Hub, hub_id: str = MODEL, revision: str = "") -> HearthError:
    with pytest.raises(HearthError) as caught:
        await hub.describe(hub_id, revision)
    await hub.close()
    return caught.value


async def test_a_model_is_described_by_its_commit_and_hashes(
    hub: HubDouble, model_folder: Path
) -> None:
    hub.add(MODEL, model_folder)
    asker = Hub(hub.url)
    model = await asker.describe(MODEL, "main")
    await asker.close()
    assert (model.commit, model.licence) == (COMMIT, "apache-2.0")
    assert [file.path for file in model.weights] == ["model-1-of-2.safetensors", BIG]
    assert all(file.sha256 and not file.git_blob for file in model.weights)
    assert all(file.git_blob and not file.sha256 for file in model.small)
    assert not any(file.path.endswith(".py") for file in model.files)
    assert hub.requests[0].path == f"/api/models/{MODEL}/revision/main"


async def test_unknown_ids_revisions_and_names_that_are_none(
    hub: HubDouble, model_folder: Path
) -> None:
    hub.add(MODEL, model_folder)
    unknown = await refused(Hub(hub.url), "owner/other")
    assert isinstance(unknown, NotFound)
    assert f"no model owner/other on {hub.url}" in unknown.message
    assert "HEARTH_HUB_TOKEN is not set" in unknown.message
    revision = await refused(Hub(hub.url), revision="v9")
    assert (type(revision), revision.param) == (NotFound, "revision")
    asked = len(hub.requests)
    assert isinstance(await refused(Hub(hub.url), "../etc/passwd"), BadRequest)
    assert isinstance(await refused(Hub("")), Conflict)
    assert len(hub.requests) == asked


async def test_a_token_opens_what_is_private_and_a_wrong_one_is_named(
    hub: HubDouble, model_folder: Path
) -> None:
    hub.add(MODEL, model_folder, private=True)
    hub.token = "hub-secret"
    assert isinstance(await refused(Hub(hub.url)), NotFound)
    wrong = await refused(Hub(hub.url, "other"))
    assert "does not know the token" in wrong.message
    asker = Hub(hub.url, "hub-secret")
    assert (await asker.describe(MODEL)).commit == COMMIT
    await asker.close()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("pytorch_model.bin", "only a pickle checkpoint (pytorch_model.bin)"),
        ("model.Q4.gguf", "only a GGUF file"),
        ("notes.txt", "no .safetensors file."),
    ],
)
async def test_other_formats_are_refused_before_a_byte_of_them(
    hub: HubDouble, model_folder: Path, other: str, words: str
) -> None:
    for place in model_folder.glob("*.safetensors"):
        place.unlink()
    (model_folder / other).write_bytes(b"x")
    hub.add(MODEL, model_folder)
    refusal = await refused(Hub(hub.url))
    assert isinstance(refusal, BadRequest)
    assert words in refusal.message
    assert len(hub.requests) == 1


async def test_a_hub_that_is_away_or_none(hub: HubDouble) -> None:
    away = await refused(Hub("http://127.0.0.1:9"))
    assert isinstance(away, Unavailable)
    assert "http://127.0.0.1:9 cannot be reached" in away.message
    hub.faults.statuses = [(200, {})]
    other = await refused(Hub(hub.url))
    assert isinstance(other, Unavailable)
    hub.faults.statuses = [(503, {})]
    assert isinstance(await refused(Hub(hub.url)), Unavailable)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself; with its key."""
    folder.mkdir()
    names = (folder / "hub.pem", folder / "hub.key")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hub"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-out", str(names[0]), "-keyout", str(names[1])],
        check=True,
        capture_output=True,
    )
    return names


async def test_the_ca_bundle_decides_who_is_trusted(model_folder: Path, tmp_path: Path) -> None:
    bundle, key = certificate(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, key)
    with hub_double(context) as hub:
        hub.add(MODEL, model_folder)
        untrusted = await refused(Hub(hub.url))
        assert isinstance(untrusted, Conflict)
        assert "HEARTH_CA_BUNDLE" in untrusted.message
        asker = Hub(hub.url, ca_bundle=bundle)
        assert (await asker.describe(MODEL)).commit == COMMIT
        await asker.close()


async def test_the_proxy_is_asked_and_named_when_it_is_away(
    hub: HubDouble, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(MODEL, model_folder)
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    asker = Hub("http://hub.example")
    assert (await asker.describe(MODEL)).commit == COMMIT
    await asker.close()
    assert hub.requests[-1].via == "proxy"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asker = Hub(hub.url)
    assert (await asker.describe(MODEL)).commit == COMMIT
    await asker.close()
    assert hub.requests[-1].via == ""


async def test_the_token_is_shown_to_the_hub_and_not_to_where_it_redirects(
    hub: HubDouble, model_folder: Path
) -> None:
    hub.token = "hub-secret"
    hub.add(MODEL, model_folder)
    with hub_double() as elsewhere:
        elsewhere.add(MODEL, model_folder)
        hub.redirect_to = elsewhere.url.replace("127.0.0.1", "localhost")
        asker = Hub(hub.url, "hub-secret")
        model = await asker.describe(MODEL)
        async with asker.stream(model, BIG, 10, 19) as response:
            assert len(await response.aread()) == 10
        await asker.close()
        assert {request.token for request in hub.requests} == {"hub-secret"}
        assert [(r.token, r.first_byte) for r in elsewhere.requests] == [("", 10)]
