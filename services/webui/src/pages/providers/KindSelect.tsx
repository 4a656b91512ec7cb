import { Group, Select, Stack, Text } from "@mantine/core";
import type { ProviderKind } from "../../api/providers";
import { SiteMark } from "../../parts/SiteMark";

interface KindSelectProps {
  kinds: ProviderKind[];
  kind: ProviderKind;
  isFixed: boolean;
  onChange: (kind: ProviderKind) => void;
}

/** What speaks there, and whether that is somebody else. */
export function KindSelect({ kinds, kind, isFixed, onChange }: KindSelectProps) {
  const find = (name: string | null) => kinds.find((each) => each.kind === name);
  return (
    <Stack gap={6}>
      {isFixed ? (
        <Text fw={600}>{kind.label}</Text>
      ) : (
        <Select
          label="Kind"
          data={kinds.map((each) => ({ value: each.kind, label: each.label }))}
          value={kind.kind}
          allowDeselect={false}
          data-autofocus
          renderOption={({ option }) => (
            <Group justify="space-between" gap="xs" flex={1}>
              {option.label}
              <SiteMark leavesSite={find(option.value)?.leaves_site ?? true} />
            </Group>
          )}
          onChange={(name) => {
            const chosen = find(name);
            if (chosen) {
              onChange(chosen);
            }
          }}
        />
      )}
      <Group gap="xs">
        <SiteMark leavesSite={kind.leaves_site} />
        <Text size="sm" c="dimmed">
          {kind.leaves_site
            ? "What its models are asked goes to somebody else."
            : "vLLM, SGLang or another Hearth that is yours: what it is asked stays with you."}
        </Text>
      </Group>
    </Stack>
  );
}
