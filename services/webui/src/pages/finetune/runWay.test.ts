import { describe, expect, it } from "vitest";
import type { Evaluation } from "../../api/evaluations";
import type { Run } from "../../api/runs";
import { phaseShare, phaseWords, RUN_STEPS, runShare, runStep } from "./runWay";

const run = (fields: object) =>
  ({
    status: "running",
    phase: null,
    progress: null,
    evaluation_id: "",
    started_at: 0,
    ...fields,
  }) as Run;
const progress = { num_done_steps: 40, num_total_steps: 250 };

describe("runStep", () => {
  it.each([
    [{ status: "queued" }, "Waiting"],
    [{ phase: "waiting_for_devices" }, "Waiting"],
    [{ phase: "training" }, "Training"],
    [{ status: "failed", started_at: 5 }, "Preparing"],
    [{ status: "cancelled", started_at: 5, progress }, "Training"],
    [{ status: "failed", progress, evaluation_id: "e" }, "Evaluating"],
    [{ status: "cancelled" }, "Waiting"],
  ])("of %j is %j", (fields, step) => expect(RUN_STEPS[runStep(run(fields))]).toBe(step));

  it("is past the last when it has succeeded", () => {
    expect(runStep(run({ status: "succeeded" }))).toBe(RUN_STEPS.length);
  });
});

describe("runShare", () => {
  it("is that of the steps while it trains, and all after an early stop", () => {
    expect(runShare(run({ phase: "training", progress }))).toBe(0.16);
    expect(runShare(run({ phase: "evaluating", progress }))).toBe(1);
    expect(runShare(run({}))).toBe(0);
  });
});

it("shows the cases that are done while it evaluates", () => {
  const evaluation = { fraction: 0.25 } as Evaluation;
  expect(phaseShare(run({ phase: "evaluating", progress }), evaluation)).toBe(0.25);
  expect(phaseShare(run({ phase: "training", progress }), evaluation)).toBe(0.16);
  expect(phaseShare(run({ phase: "evaluating" }), null)).toBe(0);
});

it("says what it does", () => {
  expect(phaseWords(run({ phase: "training", progress }))).toBe("step 40 of 250");
  expect(phaseWords(run({ phase: "training" }))).toBe("trains");
  expect(phaseWords(run({ status: "queued" }))).toBe("waits for a worker");
});
