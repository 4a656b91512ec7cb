import type { Deployment } from "../../api/queries";

/** Which adapter `MODEL:auto` means, as a deployment has it. */
export function adapterWords(
  { adapter_policy, default_adapter_id }: Deployment,
  adapters: readonly { adapter_id: string; name: string }[],
): string {
  switch (adapter_policy) {
    case "off":
      return "base only";
    case "named":
      return adapters.find((each) => each.adapter_id === default_adapter_id)?.name ?? "a named one";
    default:
      return "latest best";
  }
}
