"""What a model may be called in a request."""

from __future__ import annotations

import re

from services.cluster.errors import BadRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_MAX_NAME = 200
_TAKEN = "/weights"  # /api/v1/models/NAME/weights


def check_model_name(name: str, param: str = "name") -> None:
    """A colon would separate an adapter's name. Raises BadRequest."""
    if name.endswith(_TAKEN):
        raise BadRequest(
            f"{name[:_MAX_NAME]!r} is no model name: its address would be that of the weights of"
            f" {name.removesuffix(_TAKEN)[:_MAX_NAME]!r}. Choose another name.",
            param=param,
        )
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is no model name: letters, digits, dots, dashes and underscores, with at"
            " most one slash between two such parts.",
            param=param,
        )
