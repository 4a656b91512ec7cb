import type { EvaluationInterval } from "../../api/evaluations";

/** Where the parts of an interval are on an axis with 0 in its middle, in shares of its length. */
export interface IntervalPlaces {
  low: number;
  high: number;
  mean: number;
}

// A little room, so that the ends of the band are seen.
const ROOM = 1.15;

export function placesOf({ low, high, mean }: EvaluationInterval): IntervalPlaces {
  const reach = Math.max(Math.abs(low), Math.abs(high), Math.abs(mean)) * ROOM || 1;
  const place = (value: number) => 0.5 + value / (2 * reach);
  return { low: place(low), high: place(high), mean: place(mean) };
}

/** What the interval says: the difference is real only where it leaves out 0. */
export function meaningOf(
  { low, high }: EvaluationInterval,
  isHigherBetter: boolean,
): "better" | "worse" | "unclear" {
  if (low <= 0 && high >= 0) {
    return "unclear";
  }
  return low > 0 === isHigherBetter ? "better" : "worse";
}
