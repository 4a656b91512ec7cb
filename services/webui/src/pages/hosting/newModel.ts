import type { ModelOverrides, NewModel } from "../../api/catalogue";

export type Origin = "hub" | "folder" | "archive";

/** What a model's files do not say, as it is typed; "" leaves it to them. */
export interface OverridesDraft {
  context_tokens: string;
  fim_family: string;
  chat_template: string;
  tool_parser: string;
  reasoning_parser: string;
}

/** What a person fills in to add a model. */
export interface ModelDraft extends OverridesDraft {
  origin: Origin;
  /** An id of the hub, or an absolute path. */
  place: string;
  revision: string;
  name: string;
}

export type Field = keyof Omit<ModelDraft, "origin">;

export const emptyDraft: ModelDraft = {
  origin: "hub",
  place: "",
  revision: "",
  name: "",
  context_tokens: "",
  fim_family: "",
  chat_template: "",
  tool_parser: "",
  reasoning_parser: "",
};

/** What is asked of the API; a folder has no revision. */
export function newModelOf(draft: ModelDraft): NewModel {
  const { origin, place, revision, name } = draft;
  const isHub = origin === "hub";
  return {
    name: name.trim(),
    hub_id: isHub ? place.trim() : "",
    local_path: isHub ? "" : place.trim(),
    revision: isHub ? revision.trim() : "",
    ...overridesOf(draft),
  };
}

export function overridesOf(draft: OverridesDraft): ModelOverrides {
  return {
    context_tokens: Number(draft.context_tokens.trim()),
    fim_family: draft.fim_family.trim(),
    chat_template: draft.chat_template,
    tool_parser: draft.tool_parser.trim(),
    reasoning_parser: draft.reasoning_parser.trim(),
  };
}

/** What is wrong with a context as it is typed; "" when nothing is. */
export function contextFault(typed: string): string {
  return /^\d{0,9}$/.test(typed.trim()) ? "" : "A whole number of tokens, or nothing";
}

/** Such as "qwen3-coder" of "qwen3-coder.tar.gz". */
export const nameOfArchive = (file: string) =>
  file.replace(/\.(zip|tar|tgz|tar\.(gz|bz2|xz|zst))$/i, "");

/** The field of the form that a parameter of the API is in; "" when it is in none. */
export function fieldOf(param: string): Field | "" {
  if (param === "hub_id" || param === "local_path") {
    return "place";
  }
  return param !== "origin" && param in emptyDraft ? (param as Field) : "";
}
