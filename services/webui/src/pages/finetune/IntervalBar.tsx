import { Text } from "@mantine/core";
import type { EvaluationInterval } from "../../api/evaluations";
import { signed } from "../../parts/format";
import classes from "./IntervalBar.module.css";
import { meaningOf, placesOf } from "./interval";

interface IntervalBarProps {
  interval: EvaluationInterval;
  isHigherBetter: boolean;
}

/** The difference that was measured, and how sure it is, around 0. */
export function IntervalBar({ interval, isHigherBetter }: IntervalBarProps) {
  const { low, high, mean } = placesOf(interval);
  const meaning = meaningOf(interval, isHigherBetter);
  const percents = (share: number) => `${100 * share}%`;
  return (
    <div>
      <div className={classes.axis} aria-hidden>
        <div className={classes.zero} />
        <div
          className={`${classes.band} ${classes[meaning]}`}
          style={{ left: percents(low), width: percents(high - low) }}
        />
        <div className={`${classes.mean} ${classes[meaning]}`} style={{ left: percents(mean) }} />
      </div>
      <Text size="sm" ta="center" style={{ fontVariantNumeric: "tabular-nums" }}>
        {signed(interval.mean)}{" "}
        <Text span c="dimmed" size="sm">
          ({signed(interval.low)} to {signed(interval.high)})
        </Text>
      </Text>
    </div>
  );
}
