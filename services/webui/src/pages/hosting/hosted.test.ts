import { expect, it } from "vitest";
import type { Deployment, Device, Replica } from "../../api/queries";
import { contextOf, deviceNames, heldBytes, readySince, whatStops } from "./hosted";

const replica = (replica_id: string, phase = "ready", started_at = 10, context_tokens = 0) =>
  ({ replica_id, phase, started_at, context_tokens, device_ids: [] as string[] }) as Replica;
const deployment = (deployment_id: string, model: string, ...replicas: Replica[]) =>
  ({ deployment_id, model, context_tokens: 0, replicas }) as Deployment;
const device = (device_id: string, name: string, ...held: [string, number][]) =>
  ({
    device_id,
    name,
    total_bytes: 24,
    assignments: held.map(([holder, device_bytes]) => ({ holder, device_bytes, assigned_at: 0 })),
  }) as unknown as Device;

it("sums what its own replicas hold, whatever their generation", () => {
  const devices = [
    device("a", "A", ["replica/x-0", 4], ["replica/x-1-0", 2]),
    device("b", "B", ["replica/x-1.3", 0], ["run/x-0", 3], ["quarantine/replica/x-0", 5]),
  ];
  expect(heldBytes(deployment("x", "m"), devices)).toBe(28);
  expect(heldBytes(deployment("x-1", "m"), devices)).toBe(2);
  expect(heldBytes(deployment("z", "m"), devices)).toBe(0);
});

it("is up since its oldest ready replica", () => {
  const replicas = [
    replica("a", "ready", 30),
    replica("b", "ready", 20),
    replica("c", "failed", 5),
  ];
  expect(readySince(deployment("x", "m", ...replicas))).toBe(20);
  expect(readySince(deployment("x", "m"))).toBe(0);
});

it("has the context that is wanted, or that of its replicas", () => {
  const own = deployment("x", "m", replica("a", "ready", 0, 2048));
  expect(contextOf(own)).toBe(2048);
  expect(contextOf({ ...own, context_tokens: 512 })).toBe(512);
  expect(contextOf(deployment("x", "m"))).toBe(0);
});

it("says which devices they are where others are called the same", () => {
  const devices = [
    device("GPU-030d97d7-5eea", "A"),
    device("GPU-11111111-5eea", "A"),
    device("GPU-22222222-5eea", "B"),
  ];
  const spread = (...device_ids: string[]) => deviceNames({ device_ids }, devices);
  expect(spread("GPU-030d97d7-5eea", "GPU-11111111-5eea")).toBe("2 × A (030d97d7, 11111111)");
  expect(spread("GPU-22222222-5eea", "gone")).toBe("B, gone");
});

it("says what stops with it", () => {
  const first = deployment("x", "m", replica("x-0"), replica("x-1"));
  const second = deployment("y", "n", replica("y-0"));
  expect(whatStops(first, [first, second])).toEqual([
    "2 replicas of m will stop, after the requests that were begun.",
    "Requests for m and its adapters are refused from then on.",
    "Requests that name no model are answered by n instead.",
  ]);
  expect(whatStops(first, [first]).at(-1)).toContain("nothing answers");
  expect(whatStops(second, [first, second])).toHaveLength(2);
  const twin = deployment("z", "m");
  expect(whatStops(twin, [first, twin])).toEqual([
    "It has no replica that runs.",
    "x goes on serving m.",
  ]);
});
