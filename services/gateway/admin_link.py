"""`python -m services.gateway.admin_link` prints a link that signs the administrator in once."""

from __future__ import annotations

import asyncio
import sys

from services.cluster.errors import HearthError
from services.cluster.identity import SIGN_IN_LINK_SECONDS, Identity
from services.cluster.settings import load
from services.cluster.store.connection import Store
from services.gateway.settings import GatewaySettings


async def make(settings: GatewaySettings) -> str:
    store = await Store.connect(settings.redis_url)
    try:
        secret = await Identity(store).create_sign_in_link()
    finally:
        await store.close()
    return f"{settings.url}/sign-in#link={secret}"


def main() -> int:
    try:
        link = asyncio.run(make(load(GatewaySettings)))
    except HearthError as error:
        print(f"{error.message} Is Hearth running?", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{link}\nworks once, within {SIGN_IN_LINK_SECONDS // 60} minutes")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
