import { expect, it } from "vitest";
import type { Device } from "../../api/queries";
import { mostDevices, reasonWords, shardingOptions } from "./sharding";

const device = (host_id: string, kind = "cuda") => ({ host_id, kind }) as Device;
const gpus = [device("a"), device("b"), device("b"), device("b"), device("b")];
const model = { name: "m", num_heads: 14, num_kv_heads: 2 };
const possible = (options: { count: number; reason: string }[]) =>
  options.filter((option) => !option.reason).map((option) => option.count);

it("counts the devices of the largest host", () => {
  expect(mostDevices(gpus)).toBe(4);
  expect(mostDevices([device("a", "cpu"), device("a", "cpu")])).toBe(1);
  expect(mostDevices([])).toBe(1);
});

it("offers what model and hosts allow, and says why not the rest", () => {
  const options = shardingOptions(model, [1, 2, 4, 8], gpus, 1);
  expect(possible(options)).toEqual([1, 2, 4]);
  expect(reasonWords(options)).toBe(
    "3: m has 14 heads and 2 key-value heads, which cannot be dealt out evenly." +
      " 8: no host has more than 4 GPUs.",
  );
});

it("offers one device on processors", () => {
  const options = shardingOptions(model, [1, 2, 4, 8], [device("a", "cpu")], 1);
  expect(possible(options)).toEqual([1]);
  expect(reasonWords(options)).toBe("2, 3, 4, 8: a host without GPU has one device.");
});

it("offers what is chosen already", () => {
  expect(shardingOptions(model, [1, 6], gpus, 6).map((option) => option.count)).toContain(6);
});
