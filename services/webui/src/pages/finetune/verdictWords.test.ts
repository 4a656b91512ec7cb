import { expect, it } from "vitest";
import type { Evaluation } from "../../api/evaluations";
import { verdictWords } from "./verdictWords";

const evaluation = (verdict: Evaluation["verdict"], low: number, high: number) =>
  ({ verdict, loss_difference: { low, high, mean: (low + high) / 2, num_files: 9 } }) as Evaluation;

it.each([
  ["better", -0.2, -0.1, "better"],
  ["no_difference", -0.2, 0.1, "no difference"],
  ["no_difference", -0.2, -0.1, "lower loss"],
  ["worse", -0.2, -0.1, "worse"],
] as const)("%s with a loss from %d to %d: %s", (verdict, low, high, label) =>
  expect(verdictWords(evaluation(verdict, low, high))?.label).toBe(label),
);

it("says nothing before there is a verdict", () => {
  expect(verdictWords(evaluation(null, 0, 0))).toBeNull();
});
