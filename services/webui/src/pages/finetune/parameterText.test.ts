import { describe, expect, it } from "vitest";
import type { RunParameter } from "../../api/runs";
import { faultOf, faulty, parameterLabel, rangeOf, valuesOf, valueText } from "./parameterText";

const parameter = (name: string, type: string, range: Partial<RunParameter> = {}) =>
  ({
    name,
    type,
    minimum: null,
    maximum: null,
    minimum_exclusive: false,
    ...range,
  }) as RunParameter;
const rank = parameter("lora_r", "integer", { minimum: 4, maximum: 128 });
const scale = parameter("scale", "number", { minimum: 0, maximum: 1, minimum_exclusive: true });
const limit = parameter("limit", "integer", { minimum: 0 });
const seed = parameter("seed", "integer", { minimum: 0, maximum: 2 ** 53 - 1 });
const flag = parameter("flag", "boolean");
const names = parameter("names", "names");
const choice = parameter("choice", "choice");

it.each([
  [rank, "4 to 128"],
  [scale, "above 0, at most 1"],
  [limit, "at least 0"],
  [seed, "at least 0"],
  [flag, ""],
])("range of %j", (each, words) => expect(rangeOf(each)).toBe(words));

describe("faultOf", () => {
  it.each([
    [rank, ""],
    [rank, "4"],
    [rank, " 128 "],
    [scale, "1e-3"],
    [limit, "999999"],
    [names, "q_proj, v_proj"],
  ])("takes %j: %j", (each, text) => expect(faultOf(each, text)).toBe(""));

  it.each([
    [rank, "3", "This must be 4 to 128."],
    [rank, "8.5", "This must be a whole number."],
    [rank, "many", "This is no number."],
    [scale, "0", "This must be above 0, at most 1."],
    [limit, "-1", "This must be at least 0."],
  ])("refuses %j: %j", (each, text, words) => expect(faultOf(each, text)).toBe(words));
});

describe("valuesOf", () => {
  it("sends what is set, in its type", () => {
    const texts = { lora_r: "8", flag: "false", names: "q_proj, v_proj", choice: "cosine" };
    expect(valuesOf([rank, flag, names, choice, limit], texts)).toEqual({
      lora_r: 8,
      flag: false,
      names: ["q_proj", "v_proj"],
      choice: "cosine",
    });
  });

  it("leaves out what is wrong, which is named", () => {
    expect(valuesOf([rank], { lora_r: "1" })).toEqual({});
    expect(faulty([rank, scale], { lora_r: "1", scale: "1" })).toEqual(["lora_r"]);
  });
});

it("says values as a person reads them", () => {
  expect([0.0003, true, [], ["a", "b"], "linear"].map(valueText)).toEqual([
    "3e-4",
    "yes",
    "all",
    "a, b",
    "linear",
  ]);
});

it.each([
  ["lora_r", "LoRA rank"],
  ["lr_decay_steps", "Learning rate decay steps"],
  ["low_gpu_mem_mode", "Low GPU memory mode"],
  ["warmup_num_steps", "Warmup steps"],
])("calls %j %j", (name, label) => expect(parameterLabel(name)).toBe(label));
