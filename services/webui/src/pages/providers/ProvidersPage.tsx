import { Button, Skeleton, Stack } from "@mantine/core";
import { IconPlus, IconWorldUpload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Provider, providerKindsQuery, providersQuery } from "../../api/providers";
import { EmptyState } from "../../parts/EmptyState";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Surface } from "../../parts/Surface";
import { DeleteProvider } from "./DeleteProvider";
import { EnableProvider } from "./EnableProvider";
import { ProviderCard } from "./ProviderCard";
import { ProviderDrawer, type ProviderTask } from "./ProviderDrawer";

/** Servers elsewhere whose models stand beside those of this one. */
export default function ProvidersPage() {
  const providers = useQuery(providersQuery);
  const kinds = useQuery(providerKindsQuery);
  const [task, setTask] = useState<ProviderTask | null>(null);
  const [enabling, setEnabling] = useState<Provider | null>(null);
  const [deleting, setDeleting] = useState<Provider | null>(null);
  const failed = [providers, kinds].find((query) => query.isError && !query.data);
  const add = () => setTask({ providerId: "", part: "connection" });
  return (
    <Page
      title="Providers"
      about="Models of other servers, beside those of this one."
      action={
        <Button
          leftSection={<IconPlus size={16} aria-hidden />}
          disabled={!providers.data || !kinds.data}
          onClick={add}
        >
          Add a provider
        </Button>
      }
    >
      {failed?.error ? (
        <ProblemAlert
          title="The providers cannot be shown"
          error={failed.error}
          onRetry={() => void failed.refetch()}
        />
      ) : !providers.data || !kinds.data ? (
        <Skeleton height={180} radius="lg" aria-label="Loading" role="status" />
      ) : (
        <>
          {providers.data.length === 0 && <NoProvider onAdd={add} />}
          <Stack gap="md">
            {providers.data.map((provider) => (
              <ProviderCard
                key={provider.provider_id}
                provider={provider}
                kind={kinds.data.find((kind) => kind.kind === provider.kind)}
                onEnable={() => setEnabling(provider)}
                onEdit={(part) => setTask({ providerId: provider.provider_id, part })}
                onDelete={() => setDeleting(provider)}
              />
            ))}
          </Stack>
          <ProviderDrawer
            task={task}
            providers={providers.data}
            kinds={kinds.data}
            onTask={setTask}
            onClose={() => setTask(null)}
          />
        </>
      )}
      <EnableProvider provider={enabling} onClose={() => setEnabling(null)} />
      <DeleteProvider provider={deleting} onClose={() => setDeleting(null)} />
    </Page>
  );
}

function NoProvider({ onAdd }: { onAdd: () => void }) {
  return (
    <Surface label="Providers">
      <EmptyState
        icon={<IconWorldUpload />}
        title="Nothing leaves this site"
        action={
          <Button mt="sm" onClick={onAdd}>
            Connect a server
          </Button>
        }
      >
        A provider answers with models that this server does not host: an outside one such as OpenAI
        or Anthropic, or a cluster of your own. Add one with its key, pick the models that may be
        used, and switch it on. Until then nothing is sent to it but what a test sends.
      </EmptyState>
    </Surface>
  );
}
