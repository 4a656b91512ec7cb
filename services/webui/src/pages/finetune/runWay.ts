import type { Evaluation } from "../../api/evaluations";
import { isOpen } from "../../api/jobs";
import type { Run } from "../../api/runs";
import { integer } from "../../parts/format";

export const RUN_STEPS = ["Waiting", "Preparing", "Training", "Evaluating", "Publishing"];

const STEP_OF: Record<NonNullable<Run["phase"]>, number> = {
  waiting_for_devices: 0,
  waiting_for_window: 0,
  preparing: 1,
  training: 2,
  evaluating: 3,
  publishing: 4,
};

/** Index in RUN_STEPS of what it does or where it ended; as many as there are when it succeeded. */
export function runStep({ status, phase, progress, evaluation_id, started_at }: Run): number {
  if (status === "succeeded") {
    return RUN_STEPS.length;
  }
  if (status === "queued") {
    return 0;
  }
  if (phase) {
    return STEP_OF[phase];
  }
  // It ended early, and no longer tells in which phase.
  if (evaluation_id) {
    return 3;
  }
  return progress?.num_done_steps ? 2 : started_at > 0 ? 1 : 0;
}

/** How much of the training is done, 0 to 1. An early stop leaves nothing to do. */
export function runShare(run: Run): number {
  if (run.status === "succeeded" || run.phase === "evaluating" || run.phase === "publishing") {
    return 1;
  }
  const { num_done_steps = 0, num_total_steps = 0 } = run.progress ?? {};
  return num_total_steps > 0 ? num_done_steps / num_total_steps : 0;
}

/** How much of what an open run does is done: of the training, or of the cases. */
export const phaseShare = (run: Run, evaluation: Evaluation | null): number =>
  run.phase === "evaluating" ? (evaluation?.fraction ?? 0) : runShare(run);

const PHASES: Record<NonNullable<Run["phase"]>, string> = {
  waiting_for_devices: "waits for a device",
  waiting_for_window: "waits for its time window",
  preparing: "reads dataset and base",
  training: "trains",
  evaluating: "compares with the base",
  publishing: "writes the adapter",
};

/** What an open run does, such as "step 40 of 250". */
export function phaseWords(run: Run): string {
  if (!isOpen(run.status)) {
    return run.status;
  }
  if (run.phase === "training" && run.progress?.num_total_steps) {
    const { num_done_steps, num_total_steps } = run.progress;
    return `step ${integer(num_done_steps)} of ${integer(num_total_steps)}`;
  }
  return run.phase ? PHASES[run.phase] : "waits for a worker";
}
