import { Loader, VisuallyHidden } from "@mantine/core";
import { IconAlertTriangle, IconCheck } from "@tabler/icons-react";
import classes from "./PhaseSteps.module.css";

interface PhaseStepsProps {
  label: string;
  /** Words of the phases in their order. */
  phases: readonly string[];
  /** Index of the phase in hand; as many as there are phases when all is done. */
  current: number;
  /** Whether it ended there. */
  isStopped: boolean;
}

/** The way of a job, and how far it is. */
export function PhaseSteps({ label, phases, current, isStopped }: PhaseStepsProps) {
  return (
    <ol className={classes.steps} aria-label={label}>
      {phases.map((phase, index) => {
        const isDone = index < current;
        const isCurrent = index === current;
        const look = isDone ? classes.done : isStopped ? classes.stopped : classes.current;
        return (
          <li
            key={phase}
            className={isDone || isCurrent ? `${classes.step} ${look}` : classes.step}
            aria-current={isCurrent ? "step" : undefined}
          >
            <span className={classes.words}>
              {phase}
              {isDone && <IconCheck size={14} aria-hidden />}
              {isCurrent && isStopped && <IconAlertTriangle size={14} aria-hidden />}
              {isCurrent && !isStopped && <Loader size={12} aria-hidden />}
            </span>
            {isDone && <VisuallyHidden>done</VisuallyHidden>}
          </li>
        );
      })}
    </ol>
  );
}
