"""`python -m services.cluster.store.backup` as a person runs it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.cluster import data_volume, redis_server
from services.cluster.identity import Identity
from services.cluster.store.connection import Store
from services.cluster.store.keys import SCHEMA_VERSION, Keys

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "services.cluster.store.backup"]


def run_now(
    data_dir: Path, *arguments: str, redis_url: str = "", stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEARTH_")}
    environment["HEARTH_DATA_DIR"] = str(data_dir)
    if redis_url:
        environment["HEARTH_REDIS_URL"] = redis_url
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, input=stdin, capture_output=True, check=False
    )


async def run(data_dir: Path, *arguments: str, **options: Any) -> tuple[int, bytes, str]:
    """Exit status, standard output, and what it said."""
    done = await asyncio.to_thread(run_now, data_dir, *arguments, **options)
    return done.returncode, done.stdout, done.stderr.decode()


async def make_records(url: str) -> None:
    store = await Store.connect(url)
    await Identity(store).ensure_admin()
    await store.close()


async def admin_name(url: str) -> str:
    store = await Store.connect(url)
    try:
        return (await Identity(store).user("admin")).name
    finally:
        await store.close()


async def test_records_move_from_one_volume_to_another(tmp_path: Path) -> None:
    """Hearth runs on neither, so the volume's own Redis is started for each command."""
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "records.jsonl"
    old.mkdir()
    new.mkdir()
    with redis_server.running(old) as url:
        await make_records(url)
        status, output, _ = await run(old, "export", "-")  # while it runs
        assert status == 0
        assert b'"hearth:users"' in output
    status, _, said = await run(old, "export", str(file))
    assert (status, "keys were exported" in said) == (0, True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await run(new, "import", str(file)))[0] == 0
    status, _, said = await run(new, "import", str(file))
    assert (status, said.count("\n"), "--replace" in said) == (1, 1, True)
    assert (await run(new, "import", "--replace", "-", stdin=file.read_bytes()))[0] == 0
    with redis_server.running(new) as url:
        assert await admin_name(url) == "admin"


async def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path) -> None:
    for arguments, words in (
        (("export", "-"), "holds no records of Hearth"),
        (("import", str(tmp_path / "none")), "No such file"),
        (("import", __file__), "no backup"),
    ):
        status, output, said = await run(tmp_path, *arguments)
        assert (status, output, said.count("\n"), words in said) == (1, b"", 1, True), said


async def test_a_redis_that_is_named_is_not_started(tmp_path: Path) -> None:
    url = f"unix://{tmp_path / 'nobody.sock'}"
    status, _, said = await run(tmp_path, "export", "-", redis_url=url)
    assert (status, said.count("\n"), "does not answer" in said) == (1, 1, True), said
    assert list(tmp_path.iterdir()) == []


async def test_it_keeps_out_of_a_launchers_way(tmp_path: Path) -> None:
    with data_volume.without_launcher(tmp_path):
        status, _, said = await run(tmp_path, "export", "-")
    assert (status, "try again" in said) == (1, True)


async def test_a_server_of_a_redis_url(redis_url: str, store: Store, tmp_path: Path) -> None:
    await store.redis.set(Keys.SCHEMA, SCHEMA_VERSION)
    await Identity(store).ensure_admin()
    status, output, _ = await run(tmp_path, "export", "-", redis_url=redis_url)
    assert (status, b'"hearth:users"' in output) == (0, True)
    assert list(tmp_path.iterdir()) == []
