import { Select } from "@mantine/core";
import type { CatalogueModel } from "../../api/catalogue";
import { integer } from "../../parts/format";
import { NumberField } from "../../parts/NumberField";
import type { SettingsProps } from "./SettingsProps";
import { hasGpu } from "./sharding";

interface LimitSettingsProps extends SettingsProps {
  model: CatalogueModel | undefined;
  /** Tokens of the largest context that fits; 0 while that is not known. */
  largestContext: number;
}

const QUANTIZATIONS = [
  { value: "none", label: "As on disk" },
  { value: "fp8", label: "fp8" },
];

/** How long and how many requests may be, and how exact the weights are. */
export function LimitSettings(props: LimitSettingsProps) {
  const { draft, faults, model, cluster, largestContext, onChange } = props;
  const own = model?.context_tokens ?? 0;
  const canQuantize = hasGpu(cluster.devices) || draft.quantization !== "";
  return (
    <>
      <NumberField
        label="Context"
        description={
          largestContext > 0 ? `Tokens; ${integer(largestContext)} fit.` : "Tokens of one request."
        }
        placeholder={own > 0 ? `the model's ${integer(own)}` : "the model's own"}
        text={draft.contextTokens}
        error={faults.context_tokens}
        onChange={(contextTokens) => onChange({ contextTokens })}
      />
      <NumberField
        label="Concurrent requests"
        description="Of each replica; more than these wait."
        placeholder="automatic"
        text={draft.maxRunning}
        error={faults.max_running_requests}
        onChange={(maxRunning) => onChange({ maxRunning })}
      />
      <Select
        label="Quantization"
        description={
          canQuantize
            ? "Makes weights smaller as they are loaded."
            : "Needs a GPU: processors compute in float32."
        }
        inputWrapperOrder={["label", "input", "error", "description"]}
        data={QUANTIZATIONS}
        disabled={!canQuantize}
        allowDeselect={false}
        value={draft.quantization || "none"}
        error={faults.quantization}
        onChange={(value) => onChange({ quantization: value === "none" || !value ? "" : value })}
      />
    </>
  );
}
