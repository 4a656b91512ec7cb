import type { Device } from "../../api/queries";
import { plural } from "../../parts/format";

/** A number of devices for each replica, and why it cannot be; "" when it can. */
export interface ShardingOption {
  count: number;
  reason: string;
}

interface ModelShape {
  name: string;
  num_heads: number;
  num_kv_heads: number;
}

const OFFERED = [1, 2, 3, 4, 8];

export const hasGpu = (devices: readonly Device[]): boolean =>
  devices.some((device) => device.kind === "cuda");

/** Devices of the largest host; 1 where there are processors only. */
export function mostDevices(devices: readonly Device[]): number {
  const gpus = devices.filter((device) => device.kind === "cuda");
  const counts = new Map<string, number>();
  for (const { host_id } of gpus) {
    counts.set(host_id, (counts.get(host_id) ?? 0) + 1);
  }
  return Math.max(1, ...counts.values());
}

/**
 * What may be chosen. `allowed` are counts that the model can be cut into, and `current` is offered
 * too, whatever it is.
 */
export function shardingOptions(
  model: ModelShape,
  allowed: readonly number[],
  devices: readonly Device[],
  current: number,
): ShardingOption[] {
  const most = mostDevices(devices);
  const counts = [...new Set([...OFFERED, current])].sort((a, b) => a - b);
  return counts.map((count) => ({
    count,
    reason:
      count > most
        ? hostReason(devices, most)
        : allowed.includes(count)
          ? ""
          : cutReason(model, count),
  }));
}

function hostReason(devices: readonly Device[], most: number): string {
  return hasGpu(devices)
    ? `no host has more than ${plural(most, "GPU")}`
    : "a host without GPU has one device";
}

function cutReason({ name, num_heads, num_kv_heads }: ModelShape, count: number): string {
  return num_heads > 0 && num_kv_heads > 0 && num_heads % count > 0
    ? `${name} has ${num_heads} heads and ${num_kv_heads} key-value heads, which cannot be dealt out evenly`
    : `${name} cannot be cut into so many equal parts`;
}

/** The reasons in one line, such as "3: REASON. 4, 8: REASON."; "" when all may be chosen. */
export function reasonWords(options: readonly ShardingOption[]): string {
  const reasons = [...new Set(options.map((option) => option.reason).filter(Boolean))];
  return reasons
    .map((reason) => {
      const counts = options.filter((option) => option.reason === reason);
      return `${counts.map((option) => option.count).join(", ")}: ${reason}.`;
    })
    .join(" ");
}
