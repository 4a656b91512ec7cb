import { Badge, Group, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { type Provider, type ProviderKind, useTestProvider } from "../../api/providers";
import { Disclosure } from "../../parts/Disclosure";
import { Facts } from "../../parts/Facts";
import { day, integer, plural } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { Row } from "../../parts/Row";
import { SiteMark } from "../../parts/SiteMark";
import { Surface } from "../../parts/Surface";
import { ModelLine } from "./ModelLine";
import { ProviderActions } from "./ProviderActions";
import type { DrawerPart } from "./ProviderDrawer";
import { TestOutcome } from "./TestOutcome";

interface ProviderCardProps {
  provider: Provider;
  kind: ProviderKind | undefined;
  /** Switching on what leaves the site is asked about first. */
  onEnable: () => void;
  onEdit: (part: DrawerPart) => void;
  onDelete: () => void;
}

/** One provider: where it is, who may use it, and its models. */
export function ProviderCard(props: ProviderCardProps) {
  const { provider, kind } = props;
  const { provider_id, models, team_ids, has_key, key_changed_at, leaves_site } = provider;
  const [opened, { toggle }] = useDisclosure(false);
  const test = useTestProvider();
  return (
    <Surface label={`Provider ${provider_id}`}>
      <Row>
        <Stack gap="md">
          <RecordLine
            name={provider_id}
            facts={[kind?.label ?? provider.kind, provider.base_url]}
            aside={
              <ProviderActions
                {...props}
                isTesting={test.isPending}
                onTest={() => test.mutate({ providerId: provider_id, model: "" })}
              />
            }
            wideAside
          >
            <Group gap={6} mt={6}>
              <SiteMark leavesSite={leaves_site} />
              {leaves_site && (
                <Badge
                  variant={provider.masks_secrets ? "default" : "light"}
                  color="red"
                  tt="none"
                  fw={500}
                >
                  {provider.masks_secrets ? "secrets are masked" : "secrets are sent"}
                </Badge>
              )}
            </Group>
          </RecordLine>
          <Facts
            facts={[
              has_key ? ["Key set", day(key_changed_at)] : ["Key", "not set"],
              ["Teams", team_ids.length > 0 ? team_ids.join(", ") : "every team"],
              ["Models", models.length > 0 ? integer(models.length) : "none is picked"],
            ]}
          />
          <TestOutcome test={test} />
          {models.length > 0 && (
            <Disclosure label={plural(models.length, "model")} opened={opened} onToggle={toggle} />
          )}
        </Stack>
      </Row>
      {opened &&
        models.map((model) => (
          <Row key={model.name}>
            <ModelLine providerId={provider_id} model={model} />
          </Row>
        ))}
    </Surface>
  );
}
