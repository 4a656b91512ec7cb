"""`python -m services.gateway.tokens --name NAME` prints a new token of the administrator."""

from __future__ import annotations

import argparse
import asyncio
import sys

from services.cluster.errors import HearthError
from services.cluster.identity import Identity, Scope
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.gateway.settings import GatewaySettings


async def make(settings: GatewaySettings, name: str, scopes: frozenset[Scope]) -> str:
    store = await Store.connect(settings.redis_url)
    try:
        identity = Identity(store)
        admin = await identity.ensure_admin()
        text, _ = await identity.create_token(admin.user_id, name, scopes)
    finally:
        await store.close()
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="where it will be used")
    parser.add_argument(
        "--scope", action="append", choices=[scope.value for scope in Scope], default=[]
    )
    arguments = parser.parse_args()
    scopes = frozenset(map(Scope, arguments.scope or [Scope.COMPLETIONS]))
    try:
        text = asyncio.run(make(load(GatewaySettings), arguments.name, scopes))
    except HearthError as error:
        print(f"{error.message} Is Hearth running?", file=sys.stderr)  # noqa: T201
        return 1
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
