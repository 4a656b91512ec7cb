import { Problem } from "../../api/problem";
import type { NewProvider, Provider, ProviderChanges, ProviderKind } from "../../api/providers";

/** Where a provider is and who may use it, as a person fills it in. */
export interface ProviderDraft {
  kind: ProviderKind["kind"];
  providerId: string;
  baseUrl: string;
  /** As typed; null leaves the one that there is. */
  key: string | null;
  masksSecrets: boolean;
  teamIds: string[];
}

export type ProviderField = "provider_id" | "base_url" | "key" | "team_ids";
export type ProviderFaults = Partial<Record<ProviderField, string>>;

const FIELDS: readonly string[] = ["provider_id", "base_url", "key", "team_ids"];
const ID = /^[a-z0-9][a-z0-9._-]{0,39}$/;
// One word that a header can carry.
const KEY = /^[\x21-\x7e]*$/;

/** The kind's own name, with a number if that is taken. */
export function freeId(kind: string, taken: readonly string[]): string {
  let found = kind;
  for (let number = 2; taken.includes(found); number += 1) {
    found = `${kind}-${number}`;
  }
  return found;
}

/** What a kind decides of a new one. */
export const ofKind = (kind: ProviderKind, taken: readonly string[]) => ({
  kind: kind.kind,
  providerId: freeId(kind.kind, taken),
  baseUrl: kind.base_url,
});

export const newDraft = (kind: ProviderKind, taken: readonly string[]): ProviderDraft => ({
  ...ofKind(kind, taken),
  key: "",
  masksSecrets: true,
  teamIds: [],
});

export const draftOf = (provider: Provider): ProviderDraft => ({
  kind: provider.kind,
  providerId: provider.provider_id,
  baseUrl: provider.base_url,
  key: provider.has_key ? null : "",
  masksSecrets: provider.masks_secrets,
  teamIds: provider.team_ids,
});

const trimmedAddress = (typed: string) => typed.trim().replace(/\/+$/, "");

function addressFault(typed: string): string {
  return /^https?:\/\//i.test(typed.trim()) && URL.canParse(typed.trim())
    ? ""
    : "An address is needed, such as https://host/v1.";
}

/** What the page can see by itself; the server sees the rest. `now` is null for a new one. */
export function faultsOf(draft: ProviderDraft, now: Provider | null): ProviderFaults {
  const movesWithKey =
    now?.has_key && draft.key === null && trimmedAddress(draft.baseUrl) !== now.base_url;
  const faults = {
    provider_id: ID.test(draft.providerId.trim())
      ? ""
      : "Small letters, digits, dots, dashes and underscores; at most 40, first a letter or digit.",
    base_url: addressFault(draft.baseUrl),
    key: movesWithKey
      ? "The key was given for another address: replace it, or forget it."
      : KEY.test(draft.key?.trim() ?? "")
        ? ""
        : "A key is one word of ASCII characters.",
  };
  return Object.fromEntries(Object.entries(faults).filter(([, fault]) => fault));
}

/** It is made switched off and without models. */
export const newProviderOf = (draft: ProviderDraft): NewProvider => ({
  kind: draft.kind,
  provider_id: draft.providerId.trim(),
  base_url: trimmedAddress(draft.baseUrl),
  key: draft.key?.trim() ?? "",
  is_enabled: false,
  masks_secrets: draft.masksSecrets,
  team_ids: draft.teamIds,
  models: [],
});

/** The fields that differ. */
export function changesOf(now: Provider, draft: ProviderDraft): ProviderChanges {
  const address = trimmedAddress(draft.baseUrl);
  const key = draft.key?.trim();
  const isSameTeams = draft.teamIds.join("\n") === now.team_ids.join("\n");
  return {
    ...(address !== now.base_url && { base_url: address }),
    ...(key !== undefined && (key !== "" || now.has_key) && { key }),
    ...(draft.masksSecrets !== now.masks_secrets && { masks_secrets: draft.masksSecrets }),
    ...(!isSameTeams && { team_ids: draft.teamIds }),
  };
}

/** What the server said of one field; {} when it said nothing of one. */
export function faultsOfProblem(error: Error | null): ProviderFaults {
  return error instanceof Problem && FIELDS.includes(error.param)
    ? { [error.param]: error.message }
    : {};
}

/** Such as "api.openai.com". */
export const hostOf = (address: string): string =>
  URL.canParse(address) ? new URL(address).host : address;
