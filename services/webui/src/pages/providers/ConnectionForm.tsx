import { Button, Group, Stack, Switch, TagsInput, Text, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import {
  type Provider,
  type ProviderKind,
  useChangeProvider,
  useCreateProvider,
} from "../../api/providers";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { KeyField } from "./KeyField";
import { KindSelect } from "./KindSelect";
import {
  changesOf,
  draftOf,
  faultsOf,
  faultsOfProblem,
  newDraft,
  newProviderOf,
  ofKind,
  type ProviderDraft,
} from "./providerDraft";

interface ConnectionFormProps {
  /** The one to change; null for a new one. */
  provider: Provider | null;
  kinds: ProviderKind[];
  /** Names of those that there are. */
  taken: string[];
  onSaved: (provider: Provider) => void;
  onCancel: () => void;
}

/** Where a provider is, its key, and who may use it. */
export function ConnectionForm({ provider, kinds, taken, onSaved, onCancel }: ConnectionFormProps) {
  // What the form began with is what it is compared with.
  const [now] = useState(provider);
  const [draft, setDraft] = useState<ProviderDraft>(() =>
    now ? draftOf(now) : newDraft(kinds[0] as ProviderKind, taken),
  );
  const [wasSent, setWasSent] = useState(false);
  const create = useCreateProvider();
  const change = useChangeProvider();
  const saving = now ? change : create;
  const kind = kinds.find((each) => each.kind === draft.kind) as ProviderKind;
  const seen = faultsOf(draft, now);
  const said = faultsOfProblem(saving.error);
  // An empty form is not wrong before somebody is done with it.
  const faults = { ...said, ...(wasSent || now ? seen : {}) };
  const changes = now ? changesOf(now, draft) : null;
  const isSame = changes !== null && Object.keys(changes).length === 0;

  function set(changed: Partial<ProviderDraft>) {
    saving.reset();
    setDraft((old) => ({ ...old, ...changed }));
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    setWasSent(true);
    if (Object.keys(seen).length > 0) {
      return;
    }
    if (now && changes) {
      change.mutate({ providerId: now.provider_id, body: changes }, { onSuccess: onSaved });
    } else {
      create.mutate(newProviderOf(draft), { onSuccess: onSaved });
    }
  }

  return (
    <form onSubmit={submit} aria-label="Connection" noValidate>
      <Stack gap="md">
        <KindSelect
          kinds={kinds}
          kind={kind}
          isFixed={now !== null}
          onChange={(chosen) => set(ofKind(chosen, taken))}
        />
        {!now && (
          <TextInput
            label="Id"
            description={
              kind.leaves_site
                ? `Its models are named ${draft.providerId.trim() || "ID"}/MODEL. It stays.`
                : "What it is called here. It stays."
            }
            required
            value={draft.providerId}
            error={faults.provider_id}
            onChange={(event) => set({ providerId: event.currentTarget.value })}
          />
        )}
        <TextInput
          label="Address"
          description={
            kind.leaves_site
              ? "Such as https://host/v1. What leaves the site leaves encrypted: https only."
              : "Such as http://host:8000/v1."
          }
          required
          inputMode="url"
          spellCheck={false}
          value={draft.baseUrl}
          error={faults.base_url}
          onChange={(event) => set({ baseUrl: event.currentTarget.value })}
        />
        <KeyField
          setAt={now?.has_key ? now.key_changed_at : 0}
          value={draft.key}
          error={faults.key}
          onChange={(key) => set({ key })}
        />
        {kind.leaves_site && (
          <Switch
            label="Mask secrets"
            description="Keys, tokens and passwords whose form is known are replaced before anything is sent. No list knows every secret."
            checked={draft.masksSecrets}
            onChange={(event) => set({ masksSecrets: event.currentTarget.checked })}
          />
        )}
        <TagsInput
          label="Teams"
          description="Who may use its models. Empty: every team."
          placeholder={draft.teamIds.length === 0 ? "Type one and press Enter" : ""}
          maxTags={100}
          value={draft.teamIds}
          error={faults.team_ids}
          onChange={(teamIds) => set({ teamIds })}
        />
        {saving.isError && Object.keys(said).length === 0 && (
          <ProblemAlert title="It was not saved" error={saving.error} />
        )}
        <Group>
          <Button type="submit" loading={saving.isPending} disabled={isSame}>
            {now ? "Save the changes" : "Save and go on to its models"}
          </Button>
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
        </Group>
        {!now && (
          <Text size="sm" c="dimmed">
            It is saved switched off: nothing is sent to it but what a test sends.
          </Text>
        )}
      </Stack>
    </form>
  );
}
