import { Collapse, SimpleGrid, Stack, Switch, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { CatalogueModel } from "../../api/catalogue";
import type { DeploymentPlan } from "../../api/deployments";
import { Disclosure } from "../../parts/Disclosure";
import { NumberField } from "../../parts/NumberField";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { AdapterSettings } from "./AdapterSettings";
import { LimitSettings } from "./LimitSettings";
import type { SettingsProps } from "./SettingsProps";
import { SizeSettings } from "./SizeSettings";

interface DeploymentSettingsProps extends SettingsProps {
  /** The name of one that there is stays. */
  isNew: boolean;
  model: CatalogueModel | undefined;
  deviceCounts: number[];
  plan: DeploymentPlan | undefined;
}

/** All that a person decides of a deployment. */
export function DeploymentSettings(props: DeploymentSettingsProps) {
  const { draft, plan, onChange } = props;
  return (
    <Surface label="Settings">
      <Row>
        <Stack gap="lg">
          <SizeSettings {...props} />
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
            <LimitSettings {...props} largestContext={plan?.max_context_tokens ?? 0} />
            <AdapterSettings {...props} />
          </SimpleGrid>
          <Switch
            label="May yield to fine-tunes"
            description="A run that asks for room gets its devices; it comes back after the run."
            checked={draft.yieldsToRuns}
            onChange={(event) => onChange({ yieldsToRuns: event.currentTarget.checked })}
          />
        </Stack>
      </Row>
      <Row>
        <MoreSettings {...props} />
      </Row>
    </Surface>
  );
}

function MoreSettings({ draft, faults, isNew, onChange }: DeploymentSettingsProps) {
  const hasFault = Boolean(
    faults.deployment_id || faults.kv_cache_bytes || faults.speculative_tokens,
  );
  const [opened, { toggle }] = useDisclosure(hasFault);
  return (
    <>
      <Disclosure label="More settings" opened={opened || hasFault} onToggle={toggle} />
      <Collapse expanded={opened || hasFault}>
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md" pt="sm">
          {isNew && (
            <TextInput
              label="Name"
              description="It stays: logs and metrics are under it."
              inputWrapperOrder={["label", "input", "error", "description"]}
              placeholder="made from the model's name"
              value={draft.name}
              error={faults.deployment_id}
              onChange={(event) => onChange({ name: event.currentTarget.value })}
            />
          )}
          <NumberField
            label="Key-value cache"
            description="Of each device, for the tokens in work."
            placeholder="what is left"
            unit="GiB"
            text={draft.cacheGib}
            error={faults.kv_cache_bytes}
            onChange={(cacheGib) => onChange({ cacheGib })}
          />
          <NumberField
            label="Speculative tokens"
            description="Guessed from the text before, and checked at once."
            placeholder="none"
            text={draft.speculativeTokens}
            error={faults.speculative_tokens}
            onChange={(speculativeTokens) => onChange({ speculativeTokens })}
          />
        </SimpleGrid>
      </Collapse>
    </>
  );
}
