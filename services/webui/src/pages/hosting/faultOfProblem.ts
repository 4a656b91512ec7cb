import { Problem } from "../../api/problem";
import type { Faults } from "./deploymentDraft";

// The API's names of fields that the form has.
const FIELDS = new Set([
  "deployment_id",
  "num_replicas",
  "devices_per_replica",
  "device_bytes",
  "context_tokens",
  "max_running_requests",
  "kv_cache_bytes",
  "speculative_tokens",
  "quantization",
  "default_adapter_id",
]);

/** What the server said of one field of the form; {} when it said nothing of one. */
export function faultOfProblem(error: Error | null): Faults {
  if (!(error instanceof Problem)) {
    return {};
  }
  const field = error.param === "adapter_id" ? "default_adapter_id" : error.param;
  return FIELDS.has(field) ? { [field]: error.message } : {};
}
