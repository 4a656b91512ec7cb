import { expect, it } from "vitest";
import type { DeploymentPlan } from "../../api/deployments";
import { Problem } from "../../api/problem";
import type { Device } from "../../api/queries";
import { faultOfProblem } from "./faultOfProblem";
import { startingShare, verdictOf } from "./planned";

const GIB = 1024 ** 3;
const plan = { weights_bytes: GIB, kv_cache_bytes: GIB, overhead_bytes: GIB / 2 } as DeploymentPlan;
const device = (kind: string, healthy: boolean, ...assignments: object[]) =>
  ({ kind, healthy, assignments }) as Device;

it("takes a GPU that is free as a whole, and else what is needed", () => {
  const [free, held, broken] = [
    device("cuda", true),
    device("cuda", true, {}),
    device("cuda", false),
  ];
  expect(startingShare(plan, [held, free])).toBe("");
  expect(startingShare(plan, [held, broken])).toBe("2.5");
  expect(startingShare(plan, [device("cpu", true)])).toBe("2.5");
});

it.each([
  [true, 4, 3, "fits"],
  [false, 4, 3, "waits"],
  [false, 0, 3, "waits"],
  [false, 2, 3, "never"],
])("fits %j with %d of at least %d: %s", (fits, usable_bytes, least_bytes, verdict) =>
  expect(verdictOf({ ...plan, fits, usable_bytes, least_bytes })).toBe(verdict),
);

it("puts a sentence of the server beside the field that it is about", () => {
  const about = (param: string) => faultOfProblem(new Problem("Too much.", 400, "x", param));
  expect(about("context_tokens")).toEqual({ context_tokens: "Too much." });
  expect(about("adapter_id")).toEqual({ default_adapter_id: "Too much." });
  expect([about(""), about("model"), faultOfProblem(new Error("x"))]).toEqual([{}, {}, {}]);
});
