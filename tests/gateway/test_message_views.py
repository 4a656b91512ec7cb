"""What /api/v1 shows of a message has the message's names, and its enums all their words."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from google.protobuf.json_format import Parse
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

from services.cluster.pb.v1 import datascan_pb2 as scan_pb
from services.cluster.pb.v1 import finetune_pb2 as run_pb
from services.gateway import (
    checkpoint_views,
    dataset_views,
    evaluation_views,
    project_views,
    run_plan_views,
    run_views,
    scan_views,
    source_views,
    verdict_views,
)
from services.gateway.message_view import MessageView
from services.gateway.proto_values import number_of, values_of, words_of

PAIRS: list[tuple[type[BaseModel], Any]] = [
    (project_views.ProjectPage, scan_pb.ListProjectsResponse),
    (source_views.SourcePage, scan_pb.ListSourcesResponse),
    (scan_views.ScanPage, scan_pb.ListScansResponse),
    (verdict_views.VerdictPage, scan_pb.ListVerdictsResponse),
    (verdict_views.ScannedFileView, scan_pb.ScannedFile),
    (dataset_views.DatasetPage, scan_pb.ListDatasetsResponse),
    (run_plan_views.RunParameters, run_pb.RunParameters),
    (run_plan_views.RunSpec, run_pb.RunSpec),
    (run_plan_views.RunParameterList, run_pb.ListParametersResponse),
    (run_plan_views.RunPlanView, run_pb.RunPlan),
    (run_views.RunPage, run_pb.ListRunsResponse),
    (run_views.RunEvents, run_pb.RunEvent),
    (checkpoint_views.CheckpointPage, run_pb.ListCheckpointsResponse),
    (checkpoint_views.PublishedAdapterView, run_pb.AdapterSummary),
    (evaluation_views.EvaluationView, run_pb.Evaluation),
    (evaluation_views.EvaluationCasePage, run_pb.ListEvaluationCasesResponse),
]


@pytest.mark.parametrize(("view", "message"), PAIRS)
def test_a_view_agrees_with_its_message(view: type[BaseModel], message: Any) -> None:
    assert disagreements(view, message.DESCRIPTOR) == []


def disagreements(view: type[BaseModel], message: Any) -> list[str]:
    found = []
    known = dict(message.fields_by_name)
    if "spec" in known and "spec" not in view.model_fields:
        known |= known["spec"].message_type.fields_by_name
    for name, field in view.model_fields.items():
        place = f"{view.__name__}.{name}"
        kind = _bare(field.annotation)
        if name not in known:
            if name != "event_at":  # of the message around it
                found.append(f"{place}: the message has no such field")
            continue
        described = known[name]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += disagreements(kind, described.message_type)
        elif described.enum_type is not None:
            words = tuple(words_of(described.enum_type).values())
            if set(get_args(kind)) != set(words):
                found.append(f"{place}: {get_args(kind)} and not {words}")
        elif (
            described.has_presence
            and described.message_type is None
            and type(None) not in get_args(field.annotation)
        ):
            found.append(f"{place}: it may be unset")
    return found


def _bare(annotation: Any) -> Any:
    """The type in a list or beside None."""
    if get_origin(annotation) is list:
        return get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        (first, *_) = (part for part in get_args(annotation) if part is not type(None))
        return first
    return annotation


def test_a_view_with_a_wrong_field_is_found() -> None:
    class Wrong(MessageView):
        scan_id: str
        nonsense: str
        status: Literal["queued"]

    found = disagreements(Wrong, scan_pb.Scan.DESCRIPTOR)
    assert [each.split(":")[0] for each in found] == ["Wrong.nonsense", "Wrong.status"]


def test_values_are_plain() -> None:
    scan = scan_pb.Scan(
        scan_id="s",
        status=scan_pb.SCAN_STATUS_RUNNING,
        filters_revision=2**60,
        counts=scan_pb.ScanCounts(
            reasons=[scan_pb.ReasonCount(reason=scan_pb.VERDICT_REASON_NOT_TEXT, num_files=3)],
            mean_loss=float("nan"),
        ),
        created_at=Timestamp(seconds=7, nanos=500_000_000),
    )
    values = values_of(scan)
    assert (values["status"], values["phase"], values["progress"]) == ("running", None, None)
    assert (values["created_at"], values["finished_at"]) == (7.5, 0.0)
    assert values["filters_revision"] == 2**60
    assert values["counts"]["reasons"] == [{"reason": "not_text", "num_files": 3}]
    assert values["counts"]["mean_loss"] is None


@pytest.mark.parametrize("text", ["16", "0.5", "true", '"cosine"', '["q_proj"]', "[]"])
def test_values_of_parameters_keep_their_type(text: str) -> None:
    choice = run_pb.ParameterChoice(
        name="x", value=Parse(text, Value()), origin=run_pb.PARAMETER_ORIGIN_USER
    )
    shown = run_plan_views.ParameterChoiceView.of(choice).model_dump_json()
    assert f'"value":{text}' in shown


def test_words_have_numbers() -> None:
    assert number_of(run_pb.RunPhase.DESCRIPTOR, "training") == run_pb.RUN_PHASE_TRAINING
    assert number_of(scan_pb.VerdictReason.DESCRIPTOR, "loss") == scan_pb.VERDICT_REASON_LOSS
