import type { Deployment } from "../../api/queries";
import { readyReplicas } from "../../parts/readiness";

/** How many replicas could answer with an adapter, and how many do. */
export interface Loading {
  numReady: number;
  numLoaded: number;
}

export function loadingOf(
  adapter: { adapter_id: string; model: string },
  deployments: readonly Deployment[],
): Loading {
  const ready = deployments
    .filter((deployment) => deployment.model === adapter.model)
    .flatMap(readyReplicas);
  return {
    numReady: ready.length,
    numLoaded: ready.filter((each) => each.loaded_adapter_ids.includes(adapter.adapter_id)).length,
  };
}
