import type { DeploymentPlan } from "../../api/deployments";
import type { Device } from "../../api/queries";
import { roomyGibText } from "./gib";

/** What an engine would use of each device if it has it. */
export const plannedBytes = (plan: DeploymentPlan): number =>
  plan.weights_bytes + plan.kv_cache_bytes + plan.overhead_bytes;

export type Verdict = "fits" | "waits" | "never";

/** What becomes of it now: with less of a device than it needs it does not wait, it is refused. */
export function verdictOf({ fits, usable_bytes, least_bytes }: DeploymentPlan): Verdict {
  if (fits) {
    return "fits";
  }
  // Nothing is usable while no device is known.
  return usable_bytes > 0 && usable_bytes < least_bytes ? "never" : "waits";
}

/**
 * The share of a device that a new deployment starts with, in GiB; "" for whole devices, where a GPU
 * is free. Processors are always shared: something else must fit beside it.
 */
export function startingShare(plan: DeploymentPlan, devices: readonly Device[]): string {
  const isFree = devices.some(
    (device) => device.kind === "cuda" && device.healthy && device.assignments.length === 0,
  );
  return isFree ? "" : roomyGibText(plannedBytes(plan));
}
