import { Drawer, Tabs } from "@mantine/core";
import { useState } from "react";
import type { Provider, ProviderKind } from "../../api/providers";
import { ConnectionForm } from "./ConnectionForm";
import { ModelsForm } from "./ModelsForm";

export type DrawerPart = "connection" | "models";

/** What the drawer is for; `providerId` is "" for a new one. */
export interface ProviderTask {
  providerId: string;
  part: DrawerPart;
}

interface ProviderDrawerProps {
  task: ProviderTask | null;
  providers: Provider[];
  kinds: ProviderKind[];
  onTask: (task: ProviderTask) => void;
  onClose: () => void;
}

/** First where a provider is, then which of its models may be used. */
export function ProviderDrawer({ task, providers, kinds, onTask, onClose }: ProviderDrawerProps) {
  // What was shown stays while the drawer goes away.
  const [shown, setShown] = useState(task);
  if (task && task !== shown) {
    setShown(task);
  }
  const id = shown?.providerId ?? "";
  const provider = providers.find((each) => each.provider_id === id) ?? null;
  const kind = kinds.find((each) => each.kind === provider?.kind);
  return (
    <Drawer
      opened={task !== null}
      onClose={onClose}
      position="right"
      size="min(720px, 100%)"
      title={id ? `Change ${id}` : "Add a provider"}
      closeButtonProps={{ "aria-label": "Close" }}
      styles={{
        title: {
          fontWeight: 650,
          fontSize: "var(--mantine-font-size-lg)",
          overflowWrap: "anywhere",
        },
      }}
    >
      {shown && (
        <Tabs
          value={shown.part}
          onChange={(part) => onTask({ providerId: id, part: part as DrawerPart })}
          keepMounted={false}
        >
          <Tabs.List mb="md">
            <Tabs.Tab value="connection">Connection</Tabs.Tab>
            <Tabs.Tab value="models" disabled={provider === null}>
              Models
            </Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="connection">
            <ConnectionForm
              key={id}
              provider={provider}
              kinds={kinds}
              taken={providers.map((each) => each.provider_id)}
              onSaved={(saved) =>
                provider ? onClose() : onTask({ providerId: saved.provider_id, part: "models" })
              }
              onCancel={onClose}
            />
          </Tabs.Panel>
          <Tabs.Panel value="models">
            {provider && kind && (
              <ModelsForm key={id} provider={provider} kind={kind} onDone={onClose} />
            )}
          </Tabs.Panel>
        </Tabs>
      )}
    </Drawer>
  );
}
