import { describe, expect, it } from "vitest";
import type { NewDeployment } from "../../api/deployments";
import type { Deployment } from "../../api/queries";
import {
  askedOf,
  changesOf,
  draftOf,
  faultsOf,
  needsNewReplicas,
  newDraft,
  wantedOf,
} from "./deploymentDraft";
import { gibBytes, gibText, roomyGibText } from "./gib";

const GIB = 1024 ** 3;
const now: NewDeployment = {
  model: "m",
  deployment_id: "d",
  team_id: "t",
  engine: "echo",
  num_replicas: 2,
  devices_per_replica: 4,
  device_bytes: 1_801_549_312,
  context_tokens: 4096,
  kv_cache_bytes: 0,
  max_running_requests: 8,
  quantization: "fp8",
  speculative_tokens: 3,
  yields_to_runs: true,
  adapter_policy: "off",
  default_adapter_id: "a",
  adapter_ids: ["a"],
};

describe("GiB", () => {
  it.each([
    [0, ""],
    [2 * GIB, "2"],
    [1_801_549_312, "1.68"],
  ])("of %d is %j", (count, text) => expect(gibText(count)).toBe(text));

  it("are advised with nothing missing", () => {
    expect(gibBytes(roomyGibText(1_801_549_312))).toBeGreaterThanOrEqual(1_801_549_312);
  });

  it("that nobody touched stay what they are, to the byte", () => {
    expect(gibBytes("1.68", 1_801_549_312)).toBe(1_801_549_312);
    expect(gibBytes("1.5", 1_801_549_312)).toBe(1.5 * GIB);
    expect(gibBytes("")).toBe(0);
  });
});

describe("faultsOf", () => {
  it("finds none in a new draft", () => expect(faultsOf(newDraft("1.7"))).toEqual({}));

  it.each([
    ["num_replicas", { numReplicas: "" }],
    ["num_replicas", { numReplicas: "-1" }],
    ["context_tokens", { contextTokens: "many" }],
    ["max_running_requests", { maxRunning: "1.5" }],
    ["device_bytes", { isShared: true, shareGib: "" }],
    ["device_bytes", { isShared: true, shareGib: "x" }],
    ["kv_cache_bytes", { cacheGib: "-2" }],
    ["deployment_id", { name: "a b" }],
    ["default_adapter_id", { adapterPolicy: "named" as const }],
  ])("names %s of %j", (field, changes) => {
    expect(Object.keys(faultsOf({ ...newDraft(""), ...changes }))).toEqual([field]);
  });

  it("does not mind the share of a device that is not shared", () => {
    expect(faultsOf({ ...newDraft(""), shareGib: "x" })).toEqual({});
  });
});

describe("wantedOf", () => {
  it("asks for defaults where nothing is typed", () => {
    expect(wantedOf("m", newDraft(""), null)).toMatchObject({
      model: "m",
      deployment_id: "",
      engine: "vllm",
      num_replicas: 1,
      device_bytes: 0,
      context_tokens: 0,
      adapter_policy: "latest_best",
      default_adapter_id: "",
    });
  });

  it("changes nothing of what nobody touched", () => {
    const wanted = wantedOf("m", draftOf(now), now);
    expect(wanted).toEqual(now);
    expect(changesOf(now, wanted)).toEqual({});
  });

  it("starts from what a deployment is asked for, not from what became of it", () => {
    const shown = {
      ...now,
      phase: "ready",
      detail: "",
      created_at: 1,
      updated_at: 2,
      replicas: [],
    };
    expect(askedOf(shown as Deployment)).toEqual(now);
  });

  it("forgets the share of a whole device, and keeps a name that is not used now", () => {
    const wanted = wantedOf("m", { ...draftOf(now), isShared: false }, now);
    expect(changesOf(now, wanted)).toEqual({ device_bytes: 0 });
    expect(wanted.default_adapter_id).toBe("a");
  });
});

it.each([
  [{ num_replicas: 3, adapter_policy: "off" as const, yields_to_runs: false }, false],
  [{ num_replicas: 3, context_tokens: 512 }, true],
  [{}, false],
])("%j needs new replicas: %j", (changes, needs) => expect(needsNewReplicas(changes)).toBe(needs));
