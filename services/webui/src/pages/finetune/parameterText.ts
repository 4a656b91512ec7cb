import type { RunParameter } from "../../api/runs";
import { inWords, short } from "../../parts/format";

export type ParameterValue = number | boolean | string | string[];

/** What a person typed or chose for each parameter, by its name. What is absent is automatic. */
export type ParameterTexts = Readonly<Record<string, string>>;

/** The range of a number in words, such as "above 0, at most 1"; "" when it has none. */
export function rangeOf({ minimum, maximum, minimum_exclusive }: RunParameter): string {
  const low = typeof minimum === "number" && short(minimum);
  const high = typeof maximum === "number" && maximum < 2 ** 53 - 1 && short(maximum);
  if (low && high) {
    return minimum_exclusive ? `above ${low}, at most ${high}` : `${low} to ${high}`;
  }
  if (low) {
    return minimum_exclusive ? `above ${low}` : `at least ${low}`;
  }
  return high ? `at most ${high}` : "";
}

/** What is wrong with what was typed, as a sentence; "" when nothing is. */
export function faultOf(parameter: RunParameter, text: string): string {
  if (text.trim() === "" || !isNumber(parameter)) {
    return "";
  }
  const value = Number(text);
  if (!Number.isFinite(value)) {
    return "This is no number.";
  }
  if (parameter.type === "integer" && !Number.isInteger(value)) {
    return "This must be a whole number.";
  }
  const { minimum, maximum, minimum_exclusive } = parameter;
  const isLow =
    typeof minimum === "number" && (value < minimum || (minimum_exclusive && value === minimum));
  const isHigh = typeof maximum === "number" && value > maximum;
  return isLow || isHigh ? `This must be ${rangeOf(parameter)}.` : "";
}

const isNumber = ({ type }: RunParameter) => type === "integer" || type === "number";

/** What was set, as the server takes it. What is automatic, and what is wrong, is left out. */
export function valuesOf(
  parameters: readonly RunParameter[],
  texts: ParameterTexts,
): Record<string, ParameterValue> {
  const found: Record<string, ParameterValue> = {};
  for (const parameter of parameters) {
    const text = (texts[parameter.name] ?? "").trim();
    if (text && !faultOf(parameter, text)) {
      found[parameter.name] = parsedValue(parameter, text);
    }
  }
  return found;
}

function parsedValue(parameter: RunParameter, text: string): ParameterValue {
  if (isNumber(parameter)) {
    return Number(text);
  }
  if (parameter.type === "boolean") {
    return text === "true";
  }
  if (parameter.type === "names") {
    return text.split(/[\s,]+/).filter(Boolean);
  }
  return text;
}

/** Names of the parameters that cannot be sent as they are. */
export const faulty = (parameters: readonly RunParameter[], texts: ParameterTexts): string[] =>
  parameters.filter((each) => faultOf(each, texts[each.name] ?? "")).map((each) => each.name);

const ABBREVIATIONS: Record<string, string> = {
  lora: "LoRA",
  r: "rank",
  lr: "learning rate",
  fim: "FIM",
  gpu: "GPU",
  mem: "memory",
  num: "",
};

/** "lr_decay_steps" as "Learning rate decay steps". */
export const parameterLabel = (name: string): string =>
  inWords(
    name
      .split("_")
      .map((word) => ABBREVIATIONS[word] ?? word)
      .filter(Boolean)
      .join(" "),
  );

/** A value as a person reads it. */
export function valueText(value: unknown): string {
  if (typeof value === "number") {
    return short(value);
  }
  if (typeof value === "boolean") {
    return value ? "yes" : "no";
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? "all" : value.join(", ");
  }
  return typeof value === "string" ? value : "";
}
