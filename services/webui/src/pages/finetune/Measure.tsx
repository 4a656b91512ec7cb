import { Text } from "@mantine/core";
import type { EvaluationInterval } from "../../api/evaluations";
import { IntervalBar } from "./IntervalBar";
import classes from "./Measure.module.css";

interface MeasureProps {
  label: string;
  about: string;
  base: number;
  candidate: number;
  /** The value of a whole bar. */
  full: number;
  words: (value: number) => string;
  /** Null where it was not measured. */
  difference: EvaluationInterval | null;
  isHigherBetter: boolean;
}

/** One measure of base and candidate side by side. */
export function Measure(props: MeasureProps) {
  const { label, about, base, candidate, full, words, difference, isHigherBetter } = props;
  const width = (value: number) => `${full > 0 ? (100 * value) / full : 0}%`;
  return (
    <section className={classes.measure} aria-label={label}>
      <div>
        <Text fw={600}>{label}</Text>
        <Text size="xs" c="dimmed">
          {about}
        </Text>
      </div>
      <div className={classes.bars}>
        <Text size="sm">Base</Text>
        <div className={classes.track}>
          <div className={classes.base} style={{ width: width(base) }} />
        </div>
        <Text size="sm" fw={600} ta="right">
          {words(base)}
        </Text>
        <Text size="sm">Fine-tuned</Text>
        <div className={classes.track}>
          <div className={classes.candidate} style={{ width: width(candidate) }} />
        </div>
        <Text size="sm" fw={600} ta="right">
          {words(candidate)}
        </Text>
      </div>
      <div>
        {difference && <IntervalBar interval={difference} isHigherBetter={isHigherBetter} />}
      </div>
    </section>
  );
}
