from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan import specs


@given(st.text(min_size=1, max_size=80).filter(lambda name: "\0" not in name))
def test_a_name_made_from_any_file_name_is_a_name(file_name: str) -> None:
    try:
        name = specs.name_from(file_name, set())
    except BadRequest:
        return  # an archive that is not read
    assert specs.checked_name(name) == name
    other = specs.name_from(file_name, {name})
    assert specs.checked_name(other) != name


def test_names_lose_the_archive_and_keep_the_file() -> None:
    assert specs.name_from("my app.tar.gz", set()) == "my-app"
    assert specs.name_from("main.py", set()) == "main.py"
    assert specs.name_from("main.py", {"main.py", "main.py-2"}) == "main.py-3"


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "x" * 65, "é"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(BadRequest, match="is no name"):
        specs.checked_name(name)


def test_only_masked_fields_change() -> None:
    spec = pb.ProjectSpec(name="new", finetune_model="m", manual_scans=True)
    mask = FieldMask(paths=["finetune_model", "manual_scans"])
    assert specs.project_changes(spec, mask) == {"finetune_model": "m", "manual_scans": True}
    for bad in (FieldMask(), FieldMask(paths=["team_id"])):
        with pytest.raises(BadRequest):
            specs.project_changes(spec, bad)
    with pytest.raises(BadRequest, match="these can: name, split"):
        specs.source_changes(pb.SourceSpec(), FieldMask(paths=["git.revision"]))
    with pytest.raises(BadRequest):
        specs.project_changes(
            pb.ProjectSpec(finetune_model="a\nb"), FieldMask(paths=["finetune_model"])
        )
