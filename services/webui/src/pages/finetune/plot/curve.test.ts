import { describe, expect, it } from "vitest";
import type { RunMetrics } from "../../../api/runs";
import { curvesOf, lossSpan, nearest, type Point, thinned } from "./curve";

const points = (...losses: number[]): Point[] =>
  losses.map((loss, index) => ({ step: index + 1, loss }));

describe("curvesOf", () => {
  it("draws test losses where they were measured, and no loss that is no number", () => {
    const metrics = [
      { step: 1, train_loss: 3, test_loss: null },
      { step: 2, train_loss: Number.NaN, test_loss: 2.5 },
      { step: 3, train_loss: 2 },
    ] as RunMetrics[];
    expect(curvesOf(metrics)).toEqual({
      train: [
        { step: 1, loss: 3 },
        { step: 3, loss: 2 },
      ],
      test: [{ step: 2, loss: 2.5 }],
    });
  });
});

describe("thinned", () => {
  it("leaves a short curve as it is", () => {
    expect(thinned(points(3, 2, 1), 3)).toEqual(points(3, 2, 1));
  });

  it("keeps every peak and the last point, in order", () => {
    const many = points(...Array.from({ length: 10_000 }, (_, i) => (i === 5_001 ? 99 : i % 7)));
    const few = thinned(many, 600);
    expect(few.length).toBeLessThanOrEqual(620);
    expect(Math.max(...few.map((point) => point.loss))).toBe(99);
    expect(few.at(-1)).toEqual(many.at(-1));
    expect(few.every((point, i) => i === 0 || point.step > (few[i - 1]?.step ?? 0))).toBe(true);
  });
});

describe("lossSpan", () => {
  it("has room around both curves", () => {
    const [low, high] = lossSpan([points(1, 3), points(2, 2)], false);
    expect(low).toBeCloseTo(0.88);
    expect(high).toBeCloseTo(3.12);
  });

  it.each([
    [[], false],
    [[], true],
    [points(2), false],
    [points(2), true],
    [points(0, 0), false],
    [points(0, -1), true],
  ])("is never empty: %j, log %j", (curve, isLog) => {
    const [low, high] = lossSpan([curve], isLog);
    expect(high).toBeGreaterThan(low);
    expect(low).toBeGreaterThanOrEqual(0);
    if (isLog) {
      expect(low).toBeGreaterThan(0);
    }
  });
});

describe("nearest", () => {
  const curve = [10, 20, 40].map((step) => ({ step, loss: step }));
  it.each([
    [0, 10],
    [14, 10],
    [15, 10],
    [16, 20],
    [31, 40],
    [99, 40],
  ])("to step %d is %d", (step, found) => expect(nearest(curve, step)?.step).toBe(found));

  it("is nothing of nothing", () => expect(nearest([], 3)).toBeUndefined());
});
