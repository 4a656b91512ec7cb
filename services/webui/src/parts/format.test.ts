import { expect, it } from "vitest";
import {
  bytes,
  duration,
  inWords,
  moment,
  parameters,
  percent,
  plural,
  seconds,
  short,
  signed,
} from "./format";

it.each([
  [0, "0 bytes"],
  [1023, "1023 bytes"],
  [1024, "1 KiB"],
  [13_700_000, "13.1 MiB"],
  [80 * 1024 ** 3, "80 GiB"],
])("bytes(%d) is %s", (count, text) => expect(bytes(count)).toBe(text));

it.each([
  [-3, "0 s"],
  [59.9, "59 s"],
  [3600, "1 h"],
  [3660, "1 h 1 min"],
  [90_061, "1 d 1 h"],
])("duration(%d) is %s", (seconds, text) => expect(duration(seconds)).toBe(text));

it("shortens large counts", () => expect(parameters(32_760_000_000)).toBe("32.8B"));

it("counts in words", () => {
  expect(plural(1, "replica")).toBe("1 replica");
  expect(plural(2, "replica")).toBe("2 replicas");
});

it.each([
  [0, "0 %"],
  [0.0004, "<0.1 %"],
  [0.0034, "0.3 %"],
  [0.123, "12 %"],
  [0.999, "100 %"],
  [1, "100 %"],
])("percent(%d) is %s", (share, text) => expect(percent(share)).toBe(text));

it.each([
  [0.0003, "3e-4"],
  [0.01, "0.01"],
  [2048, "2,048"],
  [100_000, "100,000"],
  [0, "0"],
])("short(%d) is %s", (value, text) => expect(short(value)).toBe(text));

it("says the sign", () => {
  expect([signed(0.0241), signed(-0.1, 1), signed(0)]).toEqual(["+0.024", "−0.1", "±0.000"]);
});

it("makes words of a name", () => expect(inWords("lr_decay_steps")).toBe("Lr decay steps"));

it("names the year of what is long ago only", () => {
  const time = Date.UTC(2026, 10, 24, 12) / 1000;
  expect(moment(time, time + 60)).not.toContain("2026");
  expect(moment(time, time + 400 * 86_400)).toContain("2026");
});

it.each([
  [0.037, "0.04 s"],
  [0.5, "0.50 s"],
  [12.34, "12.3 s"],
])("seconds(%j) is %j", (value, words) => {
  expect(seconds(value)).toBe(words);
});
