import { expect, it } from "vitest";
import { bytes, duration, parameters, plural } from "./format";

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
