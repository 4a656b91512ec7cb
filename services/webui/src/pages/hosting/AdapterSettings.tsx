import { Select } from "@mantine/core";
import type { AdapterPolicy } from "../../api/deployments";
import type { SettingsProps } from "./SettingsProps";

/** Which adapter answers where a request leaves it open. */
export function AdapterSettings(props: SettingsProps) {
  const { draft, faults, modelName, cluster, onChange } = props;
  const adapters = cluster.adapters.filter((adapter) => adapter.model === modelName);
  const policies: { value: AdapterPolicy; label: string; disabled?: boolean }[] = [
    { value: "latest_best", label: "Latest best" },
    { value: "named", label: "A named one", disabled: adapters.length === 0 },
    { value: "off", label: "Base only" },
  ];
  return (
    <>
      <Select
        label="Adapter"
        description="What MODEL:auto means."
        inputWrapperOrder={["label", "input", "error", "description"]}
        data={policies}
        allowDeselect={false}
        value={draft.adapterPolicy}
        onChange={(value) => value && onChange({ adapterPolicy: value as AdapterPolicy })}
      />
      {draft.adapterPolicy === "named" && (
        <Select
          label="Named adapter"
          placeholder="Choose one"
          data={adapters.map((adapter) => ({ value: adapter.adapter_id, label: adapter.name }))}
          value={draft.adapterId || null}
          error={faults.default_adapter_id}
          onChange={(value) => onChange({ adapterId: value ?? "" })}
        />
      )}
    </>
  );
}
