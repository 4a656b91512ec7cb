import type { OfferedModel, ProviderModel } from "../../api/providers";
import { integer } from "../../parts/format";

/** That the server takes a prompt and a suffix itself. */
export const OWN_FIM = "own";

/** One model as a person describes it. Numbers are as typed. */
export interface ModelDraft {
  name: string;
  contextTokens: string;
  /** "" for no limit but the context's. */
  maxOutput: string;
  makesEmbeddings: boolean;
  embeddingSize: string;
  chat: boolean;
  completion: boolean;
  tools: boolean;
  images: boolean;
  /** "" for none, OWN_FIM, or a family whose tokens the model knows. */
  fim: string;
}

export type ModelFaults = Partial<
  Record<"contextTokens" | "maxOutput" | "embeddingSize" | "abilities", string>
>;

// What nearly every model of an outside provider has today.
const OUTSIDE_CONTEXT_TOKENS = "128000";
const MOST_TOKENS = 2 ** 31 - 1;
const MOST_NUMBERS = 2 ** 16;

const numberText = (count: number) => (count > 0 ? String(count) : "");

/** A model that a provider offers, with what it says of it and the best guess at the rest. */
export function draftOfOffer(offer: OfferedModel, leavesSite: boolean): ModelDraft {
  return {
    ...draftOfModel({ ...offer, fim_family: "", embedding_size: 0 }),
    contextTokens: numberText(offer.context_tokens) || (leavesSite ? OUTSIDE_CONTEXT_TOKENS : ""),
    makesEmbeddings: /embed/i.test(offer.name),
  };
}

/** A model whose name somebody typed. */
export const draftOfName = (name: string, leavesSite: boolean): ModelDraft =>
  draftOfOffer(
    {
      name,
      context_tokens: 0,
      max_output_tokens: 0,
      supports_chat: true,
      supports_completion: false,
      supports_fill_in_the_middle: false,
      supports_tools: true,
      supports_images: false,
    },
    leavesSite,
  );

export const draftOfModel = (model: ProviderModel): ModelDraft => ({
  name: model.name,
  contextTokens: numberText(model.context_tokens),
  maxOutput: numberText(model.max_output_tokens),
  makesEmbeddings: model.embedding_size > 0,
  embeddingSize: numberText(model.embedding_size),
  chat: model.supports_chat,
  completion: model.supports_completion,
  tools: model.supports_tools,
  images: model.supports_images,
  fim: model.supports_fill_in_the_middle ? OWN_FIM : model.fim_family,
});

/** What is asked of the API. */
export const modelOf = (draft: ModelDraft): ProviderModel => ({
  name: draft.name,
  context_tokens: Number(draft.contextTokens),
  max_output_tokens: Number(draft.maxOutput),
  supports_chat: draft.chat,
  supports_completion: draft.completion,
  supports_fill_in_the_middle: draft.fim === OWN_FIM,
  supports_tools: draft.tools,
  supports_images: draft.images,
  fim_family: draft.fim === OWN_FIM ? "" : draft.fim,
  embedding_size: draft.makesEmbeddings ? Number(draft.embeddingSize) : 0,
});

const isWhole = (typed: string, least: number, most: number) =>
  /^\d+$/.test(typed.trim()) && Number(typed) >= least && Number(typed) <= most;

export function faultsOfModel(draft: ModelDraft): ModelFaults {
  const faults = {
    contextTokens: isWhole(draft.contextTokens, 1, MOST_TOKENS)
      ? ""
      : "Say how many tokens, as a whole number.",
    maxOutput:
      draft.maxOutput.trim() === "" || isWhole(draft.maxOutput, 0, MOST_TOKENS)
        ? ""
        : "A whole number of tokens, or nothing.",
    embeddingSize:
      !draft.makesEmbeddings || isWhole(draft.embeddingSize, 1, MOST_NUMBERS)
        ? ""
        : "Say how many numbers an embedding has; its documentation tells.",
    abilities:
      draft.makesEmbeddings || draft.chat || draft.completion || draft.fim
        ? ""
        : "It can be used for nothing: allow chat, completion or fill in the middle.",
  };
  return Object.fromEntries(Object.entries(faults).filter(([, fault]) => fault));
}

export const isSound = (draft: ModelDraft) => Object.keys(faultsOfModel(draft)).length === 0;

/** Whether it asks for what there is already. */
export const isSaved = (draft: ModelDraft, models: readonly ProviderModel[]): boolean => {
  const saved = models.find((model) => model.name === draft.name);
  return saved !== undefined && sameModel(modelOf(draft), modelOf(draftOfModel(saved)));
};

const sameModel = (one: ProviderModel, other: ProviderModel) =>
  JSON.stringify(one) === JSON.stringify(other);

/** Whether the list asks for what there is already, in this order. */
export const areSaved = (drafts: readonly ModelDraft[], models: readonly ProviderModel[]) =>
  drafts.length === models.length &&
  drafts.every((draft, index) => draft.name === models[index]?.name && isSaved(draft, models));

/** What a model can be used for, in words. */
export function abilityWords(model: ProviderModel): string[] {
  if (model.embedding_size > 0) {
    return [`embeddings of ${integer(model.embedding_size)} numbers`];
  }
  const words: [boolean, string][] = [
    [model.supports_chat, "chat"],
    [model.supports_completion, "completion"],
    [model.supports_fill_in_the_middle || model.fim_family !== "", "fill in the middle"],
    [model.supports_chat && model.supports_tools, "tools"],
    [model.supports_chat && model.supports_images, "images"],
  ];
  return words.filter(([has]) => has).map(([, word]) => word);
}

/** Offers that have every word that was typed. */
export function matchingOffers(offers: readonly OfferedModel[], typed: string): OfferedModel[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return offers.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
}

/** Why a typed name can not be added; "" when it can. */
export function nameFault(typed: string, drafts: readonly ModelDraft[]): string {
  const name = typed.trim();
  if (!/^[^\s:]\S{0,199}$/.test(name)) {
    return "A name is one word of at most 200 characters.";
  }
  return drafts.some((draft) => draft.name === name) ? `${name} is picked already.` : "";
}
