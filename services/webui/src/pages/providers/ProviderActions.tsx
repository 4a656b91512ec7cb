import { Button, Group, Switch, Text } from "@mantine/core";
import { IconAdjustments, IconListSearch, IconPlugConnected, IconTrash } from "@tabler/icons-react";
import { type Provider, useChangeProvider } from "../../api/providers";
import type { DrawerPart } from "./ProviderDrawer";

interface ProviderActionsProps {
  provider: Provider;
  isTesting: boolean;
  onTest: () => void;
  onEnable: () => void;
  onEdit: (part: DrawerPart) => void;
  onDelete: () => void;
}

export function ProviderActions(props: ProviderActionsProps) {
  const { provider_id, is_enabled, leaves_site } = props.provider;
  const change = useChangeProvider();
  const toggle = () =>
    !is_enabled && leaves_site
      ? props.onEnable()
      : change.mutate({ providerId: provider_id, body: { is_enabled: !is_enabled } });
  const actions = [
    { word: "Test", Icon: IconPlugConnected, onClick: props.onTest, loading: props.isTesting },
    { word: "Models", Icon: IconListSearch, onClick: () => props.onEdit("models") },
    { word: "Edit", Icon: IconAdjustments, onClick: () => props.onEdit("connection") },
    { word: "Delete", Icon: IconTrash, onClick: props.onDelete },
  ];
  return (
    <>
      <Group gap="xs">
        <Switch
          label="Enabled"
          aria-label={`Enabled: ${provider_id}`}
          checked={is_enabled}
          disabled={change.isPending}
          onChange={toggle}
        />
        {actions.map(({ word, Icon, onClick, loading }) => (
          <Button
            key={word}
            variant="default"
            size="xs"
            leftSection={<Icon size={14} aria-hidden />}
            aria-label={`${word} ${word === "Models" ? "of " : ""}${provider_id}`}
            loading={loading ?? false}
            onClick={onClick}
          >
            {word}
          </Button>
        ))}
      </Group>
      {change.isError && (
        <Text size="sm" c="red" role="alert" mt={4}>
          {change.error.message}
        </Text>
      )}
    </>
  );
}
