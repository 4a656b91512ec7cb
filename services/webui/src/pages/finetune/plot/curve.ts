import type { RunMetrics } from "../../../api/runs";

export interface Point {
  step: number;
  loss: number;
}

/** A loss that is no number is not drawn. */
const isDrawn = (loss: number | null | undefined): loss is number =>
  typeof loss === "number" && Number.isFinite(loss);

/** The two curves of a run. */
export function curvesOf(metrics: readonly RunMetrics[]): { train: Point[]; test: Point[] } {
  const train: Point[] = [];
  const test: Point[] = [];
  for (const { step, train_loss, test_loss } of metrics) {
    if (isDrawn(train_loss)) {
      train.push({ step, loss: train_loss });
    }
    if (isDrawn(test_loss)) {
      test.push({ step, loss: test_loss });
    }
  }
  return { train, test };
}

/**
 * At most about `most` points that look the same when drawn: of each group of neighbours the
 * lowest, the highest and the last, so that no peak is lost.
 */
export function thinned(points: readonly Point[], most: number): Point[] {
  if (points.length <= most) {
    return [...points];
  }
  const groupSize = Math.ceil((3 * points.length) / most);
  const found: Point[] = [];
  for (let start = 0; start < points.length; start += groupSize) {
    const group = points.slice(start, start + groupSize);
    const low = group.reduce((a, b) => (b.loss < a.loss ? b : a));
    const high = group.reduce((a, b) => (b.loss > a.loss ? b : a));
    const last = group.at(-1) ?? low;
    found.push(...new Set([low, high, last].sort((a, b) => a.step - b.step)));
  }
  return found;
}

/** The span of losses that an axis shows, with a little room. A log axis begins above 0. */
export function lossSpan(curves: readonly (readonly Point[])[], isLog: boolean): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const curve of curves) {
    for (const { loss } of curve) {
      if (!isLog || loss > 0) {
        low = Math.min(low, loss);
        high = Math.max(high, loss);
      }
    }
  }
  if (low > high) {
    return isLog ? [0.1, 1] : [0, 1];
  }
  if (isLog) {
    return low === high ? [low / 1.5, high * 1.5] : [low / 1.05, high * 1.05];
  }
  const room = (high - low) * 0.06 || Math.max(Math.abs(high) * 0.1, 0.05);
  return [Math.max(0, low - room), high + room];
}

/** The point whose step is nearest. Points are by step. */
export function nearest(points: readonly Point[], step: number): Point | undefined {
  let low = 0;
  let high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.step ?? 0) < step) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const after = points[low];
  const before = points[low - 1];
  return before && after && step - before.step <= after.step - step ? before : after;
}
