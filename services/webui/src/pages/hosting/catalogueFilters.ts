import type { CatalogueModel } from "../../api/catalogue";

export interface CatalogueFilters {
  text: string;
  /** A field of CAPABILITIES, or "" for any. */
  capability: string;
}

export const CAPABILITIES = [
  { value: "supports_completion", label: "Completion" },
  { value: "supports_chat", label: "Chat" },
  { value: "supports_embeddings", label: "Embeddings" },
  { value: "supports_finetune", label: "Fine-tune" },
] as const;

/** Models that have every word that was typed, those whose weights are there first. */
export function matching(
  models: readonly CatalogueModel[],
  { text, capability }: CatalogueFilters,
): CatalogueModel[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const field = CAPABILITIES.find(({ value }) => value === capability)?.value;
  const found = models.filter((model) => {
    const said = [model.name, model.hub_id, model.architecture, model.licence]
      .join(" ")
      .toLowerCase();
    return (!field || model[field]) && words.every((word) => said.includes(word));
  });
  const isHere = ({ weights }: CatalogueModel) => weights.state === "present";
  return [...found.filter(isHere), ...found.filter((model) => !isHere(model))];
}
