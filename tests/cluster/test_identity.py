from __future__ import annotations

import asyncio
import time

import pytest

from services.cluster.errors import BadRequest, NotFound, Unauthenticated
from services.cluster.identity import Identity, Scope
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.cluster.token_table import TokenTable

COMPLETIONS = frozenset({Scope.COMPLETIONS})


async def test_a_sign_in_link_works_once(store: Store) -> None:
    identity = Identity(store)
    secret = await identity.create_sign_in_link()
    session_id, record = await identity.redeem_sign_in(secret)
    assert record.user_id == "admin"
    assert await identity.session(session_id) == record
    with pytest.raises(Unauthenticated, match="used already"):
        await identity.redeem_sign_in(secret)
    await identity.delete_session(session_id)
    assert await identity.session(session_id) is None


async def test_no_secret_is_stored(store: Store) -> None:
    identity = Identity(store)
    link = await identity.create_sign_in_link()
    token, _ = await identity.create_token("admin", "laptop", COMPLETIONS)
    session_id, _ = await identity.redeem_sign_in(await identity.create_sign_in_link())
    keys = [str(key) async for key in store.redis.scan_iter()]
    values = [*keys, *(await store.redis.hvals(Keys.TOKENS))]
    for secret in (link, token, session_id):
        assert not any(secret in value for value in values)


async def until_known(table: TokenTable, token: str, known: bool) -> None:
    async with asyncio.timeout(1):
        while (table.find(token) is not None) != known:
            await asyncio.sleep(0.01)


async def test_the_table_learns_new_and_revoked_tokens_within_a_second(store: Store) -> None:
    identity = Identity(store)
    old, _ = await identity.create_token("admin", "old", COMPLETIONS)
    table = TokenTable(store)
    await table.start()
    try:
        assert table.find(old) is not None
        token, record = await identity.create_token("admin", "new", COMPLETIONS)
        await until_known(table, token, known=True)
        assert table.find(token + "x") is None
        assert table.find("hearth_" + record.token_id + "_wrong") is None
        await identity.revoke_token(record.token_id)
        await until_known(table, token, known=False)
    finally:
        await table.close()


async def test_an_expired_token_is_unknown(store: Store) -> None:
    identity = Identity(store)
    token, _ = await identity.create_token("admin", "t", COMPLETIONS, time.time() + 0.05)
    table = TokenTable(store)
    await table.start()
    await until_known(table, token, known=False)
    await table.close()


async def test_nonsense_is_refused(store: Store) -> None:
    identity = Identity(store)
    with pytest.raises(BadRequest, match="name"):
        await identity.create_token("admin", " ", COMPLETIONS)
    with pytest.raises(BadRequest, match="scope"):
        await identity.create_token("admin", "t", frozenset())
    with pytest.raises(BadRequest, match="past"):
        await identity.create_token("admin", "t", COMPLETIONS, 1.0)
    with pytest.raises(NotFound):
        await identity.revoke_token("nobody")
