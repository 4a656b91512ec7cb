from __future__ import annotations

import pytest

from services.cluster.errors import BadRequest
from services.finetune.paging import page


def test_a_token_is_where_the_page_begins() -> None:
    assert page(0, "") == (0, 100)
    assert page(20, "40") == (40, 20)


@pytest.mark.parametrize("token", ["x", "-1", "\u0663", str(2**64), "9" * 5000])
def test_a_wrong_token_is_refused(token: str) -> None:
    with pytest.raises(BadRequest, match="must come from the answer before"):
        page(0, token)
