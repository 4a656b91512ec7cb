"""`python -m services.gateway.openapi` prints the OpenAPI document of /api/v1."""

from __future__ import annotations

import json
import sys

from services.gateway.app import create_app
from services.gateway.document import administration


def main() -> None:
    json.dump(administration(create_app().routes), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
