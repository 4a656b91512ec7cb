import type { AdapterPolicy, DeploymentChanges, NewDeployment } from "../../api/deployments";
import type { Deployment } from "../../api/queries";
import { gibBytes, gibText } from "./gib";

/** A deployment as a person fills it in. Texts are as typed; "" is for automatic. */
export interface DeploymentDraft {
  name: string;
  numReplicas: string;
  numDevices: number;
  isShared: boolean;
  shareGib: string;
  contextTokens: string;
  maxRunning: string;
  cacheGib: string;
  speculativeTokens: string;
  quantization: string;
  adapterPolicy: AdapterPolicy;
  adapterId: string;
  yieldsToRuns: boolean;
}

/** What is wrong, by the API's name of the field; a sentence each. */
export type Faults = Readonly<Record<string, string>>;

const WHOLE = "This must be a whole number.";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function newDraft(shareGib: string): DeploymentDraft {
  return {
    name: "",
    numReplicas: "1",
    numDevices: 1,
    isShared: shareGib !== "",
    shareGib,
    contextTokens: "",
    maxRunning: "",
    cacheGib: "",
    speculativeTokens: "",
    quantization: "",
    adapterPolicy: "latest_best",
    adapterId: "",
    yieldsToRuns: false,
  };
}

const countText = (count: number) => (count > 0 ? String(count) : "");

export const draftOf = (now: NewDeployment): DeploymentDraft => ({
  name: now.deployment_id,
  numReplicas: String(now.num_replicas),
  numDevices: now.devices_per_replica,
  isShared: now.device_bytes > 0,
  shareGib: gibText(now.device_bytes),
  contextTokens: countText(now.context_tokens),
  maxRunning: countText(now.max_running_requests),
  cacheGib: gibText(now.kv_cache_bytes),
  speculativeTokens: countText(now.speculative_tokens),
  quantization: now.quantization,
  adapterPolicy: now.adapter_policy,
  adapterId: now.default_adapter_id,
  yieldsToRuns: now.yields_to_runs,
});

function countFault(text: string): string {
  const value = Number(text);
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? "" : WHOLE;
}

function gibFault(text: string): string {
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 && value < 2 ** 20 ? "" : "This is no number of GiB.";
}

/** What the page can see by itself; the server sees the rest. */
export function faultsOf(draft: DeploymentDraft): Faults {
  const faults = {
    deployment_id:
      draft.name === "" || NAME.test(draft.name)
        ? ""
        : "Letters, digits, dots, dashes and underscores, first a letter or digit; at most 64.",
    num_replicas: draft.numReplicas.trim() === "" ? WHOLE : countFault(draft.numReplicas),
    device_bytes: draft.isShared
      ? gibFault(draft.shareGib) ||
        (Number(draft.shareGib) > 0 ? "" : "Say how many GiB it may take.")
      : "",
    context_tokens: countFault(draft.contextTokens),
    max_running_requests: countFault(draft.maxRunning),
    kv_cache_bytes: gibFault(draft.cacheGib),
    speculative_tokens: countFault(draft.speculativeTokens),
    default_adapter_id:
      draft.adapterPolicy === "named" && draft.adapterId === "" ? "Choose the adapter." : "",
  };
  return Object.fromEntries(Object.entries(faults).filter(([, fault]) => fault));
}

/** What the server is asked for. `now` is what there is, if something is; the rest of it stays. */
export function wantedOf(
  model: string,
  draft: DeploymentDraft,
  now: NewDeployment | null,
): NewDeployment {
  return {
    ...(now ?? { team_id: "", engine: "vllm", adapter_ids: [] }),
    model,
    deployment_id: now?.deployment_id ?? draft.name,
    num_replicas: Number(draft.numReplicas),
    devices_per_replica: draft.numDevices,
    device_bytes: draft.isShared ? gibBytes(draft.shareGib, now?.device_bytes) : 0,
    context_tokens: Number(draft.contextTokens),
    kv_cache_bytes: gibBytes(draft.cacheGib, now?.kv_cache_bytes),
    max_running_requests: Number(draft.maxRunning),
    quantization: draft.quantization,
    speculative_tokens: Number(draft.speculativeTokens),
    yields_to_runs: draft.yieldsToRuns,
    adapter_policy: draft.adapterPolicy,
    // A policy that does not need it keeps it for the day when it is named again.
    default_adapter_id:
      draft.adapterPolicy === "named" ? draft.adapterId : (now?.default_adapter_id ?? ""),
  };
}

const ASKED = Object.keys(wantedOf("", newDraft(""), null)) as (keyof NewDeployment)[];

/** What a deployment is now, in the fields that can be asked for. */
export const askedOf = (deployment: Deployment): NewDeployment =>
  Object.fromEntries(ASKED.map((field) => [field, deployment[field]])) as unknown as NewDeployment;

/** The fields that differ; what somebody else changes meanwhile in others is not undone. */
export function changesOf(now: NewDeployment, wanted: NewDeployment): DeploymentChanges {
  const fields = Object.keys(wanted) as (keyof NewDeployment)[];
  return Object.fromEntries(
    fields
      .filter((field) => JSON.stringify(wanted[field]) !== JSON.stringify(now[field]))
      .map((field) => [field, wanted[field]]),
  );
}

// What replicas that run take over; the API starts new ones for all else.
const TAKEN_OVER = new Set([
  "team_id",
  "num_replicas",
  "yields_to_runs",
  "adapter_policy",
  "default_adapter_id",
  "adapter_ids",
]);

/** Whether a change needs new replicas. */
export const needsNewReplicas = (changes: DeploymentChanges): boolean =>
  Object.keys(changes).some((field) => !TAKEN_OVER.has(field));
