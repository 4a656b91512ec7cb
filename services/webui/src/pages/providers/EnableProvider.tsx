import { Text } from "@mantine/core";
import { useState } from "react";
import { type Provider, useChangeProvider } from "../../api/providers";
import { Confirm } from "../../parts/Confirm";
import { hostOf } from "./providerDraft";

interface EnableProviderProps {
  provider: Provider | null;
  onClose: () => void;
}

/** What leaves the site does so after a person has read what it is. */
export function EnableProvider({ provider, onClose }: EnableProviderProps) {
  const change = useChangeProvider();
  // What was asked stays while the dialog goes away.
  const [asked, setAsked] = useState(provider);
  if (provider && provider !== asked) {
    setAsked(provider);
  }
  const enable = ({ provider_id }: Provider) =>
    change.mutate({ providerId: provider_id, body: { is_enabled: true } }, { onSuccess: onClose });
  return (
    <Confirm
      opened={provider !== null}
      title={`Let code leave the site to ${asked?.provider_id ?? ""}?`}
      verb="Switch it on"
      keep="Keep it off"
      failure="It was not switched on"
      isPending={change.isPending}
      error={change.error}
      onConfirm={() => provider && enable(provider)}
      onClose={onClose}
      onClosed={change.reset}
    >
      {asked && <WhatLeaves provider={asked} />}
    </Confirm>
  );
}

function WhatLeaves({ provider }: { provider: Provider }) {
  const { base_url, masks_secrets, team_ids } = provider;
  const named = `The ${team_ids.length === 1 ? "team" : "teams"} ${team_ids.join(", ")}`;
  const who = team_ids.length > 0 ? named : "Every team";
  return (
    <>
      <Text>
        Code and questions of whoever chooses one of its models go to <b>{hostOf(base_url)}</b>.
        What was sent can not be called back.
      </Text>
      <Text>
        {masks_secrets
          ? "Secrets whose form is known are masked before; no list knows every secret."
          : "Secrets are not masked: keys and passwords within the code go with it."}
      </Text>
      <Text c="dimmed" size="sm">
        {who} may choose them. A request that names no model is never sent there.
      </Text>
    </>
  );
}
