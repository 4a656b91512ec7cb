import { Button, Collapse, Group, Select, SimpleGrid, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { RunParameter, RunPlan, RunSpec } from "../../api/runs";
import { Disclosure } from "../../parts/Disclosure";
import { plural } from "../../parts/format";
import { ParameterField } from "./ParameterField";
import { casesFault, type RunDraft } from "./runDraft";

const POLICIES: { value: RunSpec["publish_policy"]; label: string }[] = [
  { value: "if_better", label: "If it is better than the base" },
  { value: "always", label: "Always" },
  { value: "manual", label: "By hand only" },
];

interface ExpertSettingsProps {
  draft: RunDraft;
  parameters: RunParameter[];
  /** What the plan chose for what is not set. */
  choices: RunPlan["choices"];
  onChange: (changes: Partial<RunDraft>) => void;
}

export function ExpertSettings({ draft, parameters, choices, onChange }: ExpertSettingsProps) {
  const [opened, { toggle }] = useDisclosure(false);
  const numSet = Object.values(draft.texts).filter((text) => text.trim()).length;
  return (
    <>
      <Group justify="space-between" gap="xs">
        <Disclosure label="Expert settings" opened={opened} onToggle={toggle} />
        <Group gap="xs">
          <Text size="sm" c="dimmed">
            {numSet === 0 ? "all automatic" : `${plural(numSet, "parameter")} set`}
          </Text>
          {numSet > 0 && (
            <Button variant="default" size="compact-xs" onClick={() => onChange({ texts: {} })}>
              All automatic
            </Button>
          )}
        </Group>
      </Group>
      <Collapse expanded={opened}>
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" verticalSpacing="md" pt="md">
          <Select
            label="Publish the best checkpoint"
            inputWrapperOrder={["label", "input", "error", "description"]}
            description="As an adapter that clients can ask for."
            data={POLICIES}
            value={draft.publishPolicy}
            allowDeselect={false}
            onChange={(value) => value && onChange({ publishPolicy: value })}
          />
          <TextInput
            label="Evaluation cases"
            inputWrapperOrder={["label", "input", "error", "description"]}
            description="Places in held-out files where base and fine-tune are compared."
            placeholder="300"
            inputMode="numeric"
            value={draft.numCases}
            error={casesFault(draft.numCases)}
            onChange={(event) => onChange({ numCases: event.currentTarget.value })}
          />
          {parameters.map((parameter) => (
            <ParameterField
              key={parameter.name}
              parameter={parameter}
              text={draft.texts[parameter.name] ?? ""}
              choice={choices.find((each) => each.name === parameter.name)}
              onChange={(text) => onChange({ texts: { ...draft.texts, [parameter.name]: text } })}
            />
          ))}
        </SimpleGrid>
      </Collapse>
    </>
  );
}
