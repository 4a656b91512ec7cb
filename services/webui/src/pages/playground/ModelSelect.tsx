import { Group, Select, Stack } from "@mantine/core";
import { isElsewhere, type OfferedName } from "../../api/queries";
import { SiteMark } from "../../parts/SiteMark";

interface ModelSelectProps {
  model: string;
  models: OfferedName[];
  onChange: (model: string) => void;
}

/** The models that can be asked; beside those of other servers stands whether they leave the site. */
export function ModelSelect({ model, models, onChange }: ModelSelectProps) {
  const find = (id: string) => models.find((each) => each.id === id);
  const mark = (id: string) => {
    const found = find(id);
    return found && isElsewhere(found) ? <SiteMark leavesSite={found.leaves_site} /> : null;
  };
  return (
    <Stack gap={6} align="stretch">
      <Select
        label="Model"
        description="NAME:auto picks the best adapter that is loaded"
        data={models.map(({ id }) => id)}
        value={model || null}
        placeholder={models.length === 0 ? "None is ready" : "Choose one"}
        disabled={models.length === 0}
        allowDeselect={false}
        renderOption={({ option }) => (
          <Group justify="space-between" gap="xs" flex={1}>
            <span style={{ overflowWrap: "anywhere" }}>{option.label}</span>
            {mark(option.value)}
          </Group>
        )}
        onChange={(chosen) => onChange(chosen ?? "")}
      />
      {mark(model)}
    </Stack>
  );
}
