"""Runs, checkpoints and evaluations by HTTP; a double keeps what the service was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.cluster.errors import BadRequest, DevicesUnavailable, HearthError
from services.cluster.identity import Scope
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.finetune.parameters import PARAMETERS, json_value, parameter_message
from tests.gateway.conftest import Gateway
from tests.gateway.services import FinetuneDouble, behind

PARAMETERS_SET = pb.RunParameters(
    lora_r=16, lr_schedule=pb.LEARNING_RATE_SCHEDULE_COSINE, target_modules=["q_proj"], seed=2**50
)
PLAN = pb.RunPlan(
    dataset_id="d1",
    parameters=PARAMETERS_SET,
    choices=[
        pb.ParameterChoice(
            name="target_modules",
            value=json_value(["q_proj"]),
            origin=pb.PARAMETER_ORIGIN_USER,
        )
    ],
    num_train_tokens=2**40,
    memory=pb.RunMemory(total_bytes=2**40),
    refusal="A GPU with 24 GiB is needed.",
)
RUN = pb.Run(
    run_id="run-1",
    status=pb.RUN_STATUS_QUEUED,
    spec=pb.RunSpec(name="mine", parameters=PARAMETERS_SET),
    plan=PLAN,
)
EVALUATION = pb.Evaluation(
    evaluation_id="e1",
    checkpoint_id="c1",
    status=pb.EVALUATION_STATUS_SUCCEEDED,
    verdict=pb.EVALUATION_VERDICT_NO_DIFFERENCE,
    loss_difference=pb.EvaluationInterval(mean=-0.1, low=-0.2, high=-0.05),
)


@pytest_asyncio.fixture
async def finetune(gateway: Gateway) -> AsyncIterator[FinetuneDouble]:
    double = FinetuneDouble()
    async with behind(gateway, "finetune", double):
        yield double


@pytest_asyncio.fixture
async def client(gateway: Gateway, finetune: FinetuneDouble) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client(Scope.ADMIN) as client:
        yield client


async def test_parameters_are_those_that_a_run_takes(
    client: httpx.AsyncClient, finetune: FinetuneDouble
) -> None:
    finetune.answers["ListParameters"] = pb.ListParametersResponse(
        parameters=[parameter_message(parameter) for parameter in PARAMETERS]
    )
    answer = await client.get("/api/v1/run-parameters")
    shown = {each["name"]: each for each in answer.json()["parameters"]}
    rank, schedule = shown["lora_r"], shown["lr_schedule"]
    assert (rank["type"], rank["default_value"], rank["maximum"]) == ("integer", 16, 128)
    assert schedule["allowed_values"] == ["linear", "cosine", "step"]
    assert (shown["target_modules"]["default_value"], schedule["minimum"]) == ([], None)
    finetune.answers["PlanRun"] = PLAN
    values = {name: each["default_value"] for name, each in shown.items()}
    body = {"project_id": "p", "parameters": values}
    answer = await client.post("/api/v1/run-plans", json=body)
    assert answer.status_code == 200, answer.text
    asked = finetune.requests[-1].spec.parameters
    assert {name for name in values if name != "target_modules"} == {
        field.name for field, _ in asked.ListFields()
    }


async def test_a_plan_is_shown(client: httpx.AsyncClient, finetune: FinetuneDouble) -> None:
    finetune.answers["PlanRun"] = PLAN
    body = {
        "project_id": "p",
        "dataset_id": "d1",
        "publish_policy": "manual",
        "parameters": {"lora_r": 16, "lr_schedule": "step", "seed": 2**50, "fim_share": None},
        "max_evaluation_cases": 7,
        "make_room": True,
        "window": {"start_minute": 1320, "end_minute": 360, "weekdays": [1, 5]},
    }
    plan = (await client.post("/api/v1/run-plans", json=body)).json()
    (request,) = finetune.requests
    assert request.spec == pb.RunSpec(
        project_id="p",
        dataset_id="d1",
        publish_policy=pb.PUBLISH_POLICY_MANUAL,
        parameters=pb.RunParameters(
            lora_r=16, lr_schedule=pb.LEARNING_RATE_SCHEDULE_STEP, seed=2**50
        ),
        max_evaluation_cases=7,
        make_room=True,
        window=pb.RunWindow(start_minute=1320, end_minute=360, weekdays=[1, 5], time_zone="UTC"),
    )
    assert plan["parameters"]["lr_schedule"] == "cosine"
    assert plan["parameters"]["fim_share"] is None
    assert plan["choices"] == [
        {"name": "target_modules", "value": ["q_proj"], "origin": "user", "reason": ""}
    ]
    assert (plan["num_train_tokens"], plan["estimated_seconds"]) == (2**40, None)
    assert (plan["fits"], plan["refusal"]) == (False, PLAN.refusal)


async def test_a_run_is_created_listed_and_cancelled(
    client: httpx.AsyncClient, finetune: FinetuneDouble
) -> None:
    finetune.answers |= {"CreateRun": RUN, "GetRun": RUN, "CancelRun": RUN}
    finetune.answers["ListRuns"] = pb.ListRunsResponse(runs=[RUN], next_page_token="1")
    made = await client.post(
        "/api/v1/runs", json={"project_id": "p"}, headers={"Idempotency-Key": "k"}
    )
    assert made.status_code == 201, made.text
    run = made.json()
    assert (run["status"], run["phase"], run["progress"], run["started_at"]) == (
        "queued",
        None,
        None,
        0,
    )
    assert run["spec"]["name"] == "mine"
    query: dict[str, Any] = {
        "project_id": "p",
        "status": ["queued", "failed"],
        "page_size": 1,
        "page_token": "4",
    }
    listed = (await client.get("/api/v1/runs", params=query)).json()
    assert listed == {"runs": [run], "next_page_token": "1"}
    assert (await client.get("/api/v1/runs/run-1")).json() == run
    assert (await client.post("/api/v1/runs/run-1/cancel")).json() == run
    create, listing, _, cancel = finetune.requests
    assert (create.idempotency_key, create.spec.publish_policy) == (
        "k",
        pb.PUBLISH_POLICY_IF_BETTER,
    )
    assert listing == pb.ListRunsRequest(
        project_id="p",
        statuses=[pb.RUN_STATUS_QUEUED, pb.RUN_STATUS_FAILED],
        page_size=1,
        page_token="4",
    )
    assert cancel == pb.CancelRunRequest(run_id="run-1")


async def test_a_checkpoint_is_published(
    client: httpx.AsyncClient, finetune: FinetuneDouble
) -> None:
    checkpoint = pb.RunCheckpoint(checkpoint_id="c1", best=True, evaluation=EVALUATION)
    finetune.answers["ListCheckpoints"] = pb.ListCheckpointsResponse(checkpoints=[checkpoint])
    finetune.answers["PublishAdapter"] = pb.AdapterSummary(adapter_id="a1", name="mine", rank=8)
    (shown,) = (await client.get("/api/v1/runs/run-1/checkpoints")).json()["checkpoints"]
    assert (shown["best"], shown["test_loss"]) == (True, None)
    assert shown["evaluation"]["verdict"] == "no_difference"
    body = {"name": "mine", "note": "good", "tags": ["a", "b"]}
    made = await client.post("/api/v1/checkpoints/c1/publish", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["adapter_id"], made.json()["evaluation"]) == ("a1", None)
    assert finetune.requests[-1] == pb.PublishAdapterRequest(checkpoint_id="c1", **body)  # type: ignore[arg-type]
    assert (await client.post("/api/v1/checkpoints/c1/publish")).status_code == 201


async def test_an_evaluation_has_cases(client: httpx.AsyncClient, finetune: FinetuneDouble) -> None:
    finetune.answers["GetEvaluation"] = EVALUATION
    finetune.answers["ListEvaluationCases"] = pb.ListEvaluationCasesResponse(
        cases=[pb.EvaluationCase(case_number=1, path="a.py", middle="x")], next_page_token="1"
    )
    evaluation = (await client.get("/api/v1/evaluations/e1")).json()
    assert (evaluation["checkpoint_id"], evaluation["adapter_id"]) == ("c1", None)
    assert (evaluation["loss_difference"]["high"], evaluation["base_scores"]) == (-0.05, None)
    query: dict[str, Any] = {"guard": True, "page_size": 1}
    page = (await client.get("/api/v1/evaluations/e1/cases", params=query)).json()
    assert (page["cases"][0]["middle"], page["next_page_token"]) == ("x", "1")
    assert finetune.requests[-1].guard


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("lora_r is 3; it must be from 4 to 128.", param="lora_r"), 400),
        (DevicesUnavailable("24 GiB are needed and 16 are there."), 409),
    ],
)
async def test_what_the_service_refuses_is_told(
    client: httpx.AsyncClient, finetune: FinetuneDouble, error: HearthError, status: int
) -> None:
    finetune.answers["CreateRun"] = error
    answer = await client.post("/api/v1/runs", json={"project_id": "p"})
    assert (answer.status_code, answer.json()["detail"]) == (status, error.message)
    assert answer.json()["error"]["param"] == error.param


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", "runs/none", None, 404, "."),
        ("POST", "runs/none/cancel", None, 404, "."),
        ("GET", "runs?status=happy", None, 400, "status"),
        ("GET", "runs?page_size=x", None, 400, "page_size"),
        ("GET", f"runs?page_token={'9' * 5000}", None, 400, "page_token"),
        ("GET", f"runs/r/events?after={'9' * 5000}", None, 400, "after"),
        ("GET", "runs/r/events?kinds=all", None, 400, "kinds"),
        ("POST", "runs", {}, 400, "project_id"),
        ("POST", "run-plans", {"project_id": "p", "make_room": "?"}, 400, "make_room"),
        ("POST", "runs", {"project_id": "p", "parameters": {"lora_rank": 4}}, 400, "lora_rank"),
        ("POST", "runs", {"project_id": "p", "parameters": {"lora_r": 2**32}}, 400, "lora_r"),
        ("POST", "runs", {"project_id": "p", "parameters": {"seed": 2**53}}, 400, "seed"),
        ("POST", "runs", {"project_id": "p", "publish_policy": "never"}, 400, "publish_policy"),
        ("POST", "checkpoints/c/publish", {"tags": "x"}, 400, "tags"),
        ("GET", "evaluations/none", None, 404, "."),
        ("GET", "evaluations/none/cases?guard=perhaps", None, 400, "guard"),
    ],
)
async def test_what_cannot_be_is_told(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, word: str
) -> None:
    answer = await client.request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert answer.json()["detail"].endswith(".")
