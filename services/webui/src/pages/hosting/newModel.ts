import type { NewModel } from "../../api/catalogue";

export type Origin = "hub" | "folder";

/** What a person fills in to add a model. */
export interface ModelDraft {
  origin: Origin;
  /** An id of the hub, or an absolute path. */
  place: string;
  revision: string;
  name: string;
}

export const emptyDraft: ModelDraft = { origin: "hub", place: "", revision: "", name: "" };

/** What is asked of the API; a folder has no revision. */
export function newModelOf({ origin, place, revision, name }: ModelDraft): NewModel {
  const isHub = origin === "hub";
  return {
    name: name.trim(),
    hub_id: isHub ? place.trim() : "",
    local_path: isHub ? "" : place.trim(),
    revision: isHub ? revision.trim() : "",
    context_tokens: 0,
    fim_family: "",
    chat_template: "",
    tool_parser: "",
    reasoning_parser: "",
  };
}

/** The field of the form that a parameter of the API is in; "" when it is in none. */
export function fieldOf(param: string): keyof ModelDraft | "" {
  if (param === "hub_id" || param === "local_path") {
    return "place";
  }
  return param === "revision" || param === "name" ? param : "";
}
