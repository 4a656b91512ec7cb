import type { Evaluation } from "./evaluations";
import type { ServerEvent } from "./eventStream";
import type { Run, RunCheckpoint, RunLogLine, RunMetrics } from "./runs";

export interface LogEntry extends RunLogLine {
  /** Of its event, which grows. */
  id: string;
}

/** All that the events of a run have told so far. */
export interface RunRecord {
  run: Run | null;
  /** By step. */
  metrics: RunMetrics[];
  log: LogEntry[];
  /** By step. */
  checkpoints: RunCheckpoint[];
  evaluation: Evaluation | null;
}

export const NOTHING_TOLD: RunRecord = {
  run: null,
  metrics: [],
  log: [],
  checkpoints: [],
  evaluation: null,
};

// Of a run that writes a line a step for days.
const LONGEST_LOG = 5_000;

/** `record` after `events`. Each replaces what was told before of the same thing. */
export function afterEvents(record: RunRecord, events: readonly ServerEvent[]): RunRecord {
  const next = { ...record };
  const metrics: RunMetrics[] = [];
  const log: LogEntry[] = [];
  for (const event of events) {
    const told: unknown = JSON.parse(event.data);
    switch (event.name) {
      case "run":
        next.run = told as Run;
        break;
      case "metrics":
        metrics.push(told as RunMetrics);
        break;
      case "log":
        log.push({ ...(told as RunLogLine), id: event.id });
        break;
      case "checkpoint":
        next.checkpoints = withCheckpoint(next.checkpoints, told as RunCheckpoint);
        break;
      case "evaluation":
        next.evaluation = told as Evaluation;
        break;
    }
  }
  if (metrics.length > 0) {
    next.metrics = withMetrics(record.metrics, metrics);
  }
  if (log.length > 0) {
    next.log = [...record.log, ...log].slice(-LONGEST_LOG);
  }
  return next;
}

/** An attempt goes on from a checkpoint: steps above its own that an earlier one told count no more. */
export function withMetrics(
  known: readonly RunMetrics[],
  told: readonly RunMetrics[],
): RunMetrics[] {
  const found = [...known];
  for (const point of told) {
    let last = found.at(-1);
    while (last && last.step >= point.step) {
      found.pop();
      last = found.at(-1);
    }
    found.push(point);
  }
  return found;
}

function withCheckpoint(known: readonly RunCheckpoint[], told: RunCheckpoint): RunCheckpoint[] {
  const others = known
    .filter((checkpoint) => checkpoint.checkpoint_id !== told.checkpoint_id)
    // Only one is the best.
    .map((checkpoint) => (told.best ? { ...checkpoint, best: false } : checkpoint));
  return [...others, told].sort((a, b) => a.step - b.step);
}
