import type { RunParameter, RunSpec } from "../../api/runs";
import { faulty, type ParameterTexts, valuesOf } from "./parameterText";

/** A run as a person fills it in. */
export interface RunDraft {
  name: string;
  datasetId: string;
  model: string;
  publishPolicy: RunSpec["publish_policy"];
  /** As typed; "" for the default. */
  numCases: string;
  texts: ParameterTexts;
}

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const RESERVED = new Set(["auto", "base"]);
const MOST_CASES = 10_000;

/** What is wrong with a name; "" when nothing is. An empty one is made by the server. */
export function nameFault(name: string): string {
  if (name === "") {
    return "";
  }
  if (!NAME.test(name)) {
    return "Letters, digits, dots, dashes and underscores only; at most 64.";
  }
  return RESERVED.has(name) ? `${name} has a meaning of its own: choose another name.` : "";
}

export function casesFault(text: string): string {
  const value = Number(text);
  const isGood =
    text.trim() === "" || (Number.isInteger(value) && value >= 1 && value <= MOST_CASES);
  return isGood ? "" : "This must be a whole number, 1 to 10,000.";
}

/** Whether it can be sent as it is. */
export const isSound = (draft: RunDraft, parameters: readonly RunParameter[]): boolean =>
  nameFault(draft.name) === "" &&
  casesFault(draft.numCases) === "" &&
  faulty(parameters, draft.texts).length === 0;

/** What the server is asked. The plan does not depend on the name, so it is left out there. */
export function specOf(
  projectId: string,
  draft: RunDraft,
  parameters: readonly RunParameter[],
  name = "",
): RunSpec {
  return {
    project_id: projectId,
    name,
    dataset_id: draft.datasetId,
    model: draft.model,
    // The table of parameters names fields of this message.
    parameters: valuesOf(parameters, draft.texts) as unknown as RunSpec["parameters"],
    publish_policy: draft.publishPolicy,
    make_room: false,
    max_evaluation_cases: Number(draft.numCases) || 0,
  };
}
