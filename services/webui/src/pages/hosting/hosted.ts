import type { Deployment, Device, Replica } from "../../api/queries";
import { shortId } from "../../parts/deviceShares";
import { plural } from "../../parts/format";
import { readyReplicas } from "../../parts/readiness";

const HOLDER = /^replica\/(.+)-\d+(?:\.\d+)?$/;

/** Bytes that a deployment holds on all devices, also for replicas that have not yet begun. */
export function heldBytes({ deployment_id }: Deployment, devices: readonly Device[]): number {
  return devices
    .flatMap(({ assignments, total_bytes }) =>
      assignments
        .filter(({ holder }) => HOLDER.exec(holder)?.[1] === deployment_id)
        .map(({ device_bytes }) => device_bytes || total_bytes),
    )
    .reduce((sum, held) => sum + held, 0);
}

/** When its oldest ready replica was started, in unix seconds; 0 when none is ready. */
export function readySince(deployment: Deployment): number {
  const starts = readyReplicas(deployment).map((replica) => replica.started_at);
  return starts.length > 0 ? Math.min(...starts) : 0;
}

/** Tokens of context that it serves: what is wanted, or what its replicas have. */
export const contextOf = ({ context_tokens, replicas }: Deployment): number =>
  context_tokens || Math.max(0, ...replicas.map((replica) => replica.context_tokens));

/**
 * Devices of a replica by name, such as "2 × NVIDIA A100". Which ones is said where others are called
 * the same.
 */
export function deviceNames(
  { device_ids }: Pick<Replica, "device_ids">,
  devices: readonly Device[],
): string {
  const nameOf = (id: string) => devices.find(({ device_id }) => device_id === id)?.name ?? id;
  return [...new Set(device_ids.map(nameOf))]
    .map((name) => {
      const ids = device_ids.filter((id) => nameOf(id) === name);
      const isOne = devices.filter((device) => device.name === name).length <= 1;
      const head = ids.length > 1 ? `${ids.length} × ${name}` : name;
      return isOne ? head : `${head} (${ids.map(shortId).join(", ")})`;
    })
    .join(", ");
}

/** What nobody is answered by any more when it is deleted; sentences. */
export function whatStops(deployment: Deployment, all: readonly Deployment[]): string[] {
  const { model, deployment_id, replicas } = deployment;
  const others = all.filter((other) => other.deployment_id !== deployment_id);
  const same = others.find((other) => other.model === model);
  const told = [
    replicas.length === 0
      ? "It has no replica that runs."
      : `${plural(replicas.length, "replica")} of ${model} will stop, after the requests that were begun.`,
    same
      ? `${same.deployment_id} goes on serving ${model}.`
      : `Requests for ${model} and its adapters are refused from then on.`,
  ];
  if (all[0]?.deployment_id === deployment_id) {
    const next = others[0];
    told.push(
      next
        ? `Requests that name no model are answered by ${next.model} instead.`
        : "No other model is hosted: nothing answers until another is.",
    );
  }
  return told;
}
