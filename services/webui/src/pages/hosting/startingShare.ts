import type { DeploymentPlan } from "../../api/deployments";
import type { Device } from "../../api/queries";
import { roomyGibText } from "./gib";

/** What an engine would use of each device if it has it. */
export const plannedBytes = (plan: DeploymentPlan): number =>
  plan.weights_bytes + plan.kv_cache_bytes + plan.overhead_bytes;

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
