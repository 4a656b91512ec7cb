import { expect, it } from "vitest";
import { meaningOf, placesOf } from "./interval";

const interval = (low: number, mean: number, high: number) => ({ low, mean, high, num_files: 9 });

it("has 0 in the middle and both ends within", () => {
  const places = placesOf(interval(-0.02, 0.04, 0.1));
  expect(places.low).toBeLessThan(0.5);
  expect(places.high).toBeGreaterThan(places.mean);
  expect(places.high).toBeLessThan(1);
  expect(placesOf(interval(0, 0, 0))).toEqual({ low: 0.5, high: 0.5, mean: 0.5 });
});

it.each([
  [interval(0.01, 0.02, 0.03), true, "better"],
  [interval(-0.3, -0.2, -0.1), true, "worse"],
  [interval(-0.3, -0.2, -0.1), false, "better"],
  [interval(-0.1, 0, 0.1), true, "unclear"],
  [interval(0, 0.1, 0.2), true, "unclear"],
])("%j, higher better %j: %j", (given, isHigherBetter, meaning) =>
  expect(meaningOf(given, isHigherBetter)).toBe(meaning),
);
