import { Select, TextInput } from "@mantine/core";
import type { RunParameter, RunPlan } from "../../api/runs";
import { faultOf, parameterLabel, rangeOf, valueText } from "./parameterText";

type InputOrder = ("label" | "input" | "error" | "description")[];

interface ParameterFieldProps {
  parameter: RunParameter;
  /** What was typed; "" for automatic. */
  text: string;
  choice: RunPlan["choices"][number] | undefined;
  onChange: (text: string) => void;
}

const YES_NO = [
  { value: "true", label: "yes" },
  { value: "false", label: "no" },
];

/** One parameter. Empty means automatic, and then it shows what that is. */
export function ParameterField({ parameter, text, choice, onChange }: ParameterFieldProps) {
  const { name, explanation, type, unit, default_value } = parameter;
  const range = rangeOf(parameter);
  const chosen = choice && choice.origin !== "user" ? choice.value : default_value;
  const shared = {
    label: parameterLabel(name),
    description: range
      ? `${explanation} Range: ${[range, unit].filter(Boolean).join(" ")}.`
      : explanation,
    placeholder: `automatic: ${valueText(chosen)}`,
    // Descriptions differ in length; fields beside each other are in line.
    inputWrapperOrder: ["label", "input", "error", "description"] as InputOrder,
  };
  if (type === "boolean" || type === "choice") {
    return (
      <Select
        {...shared}
        clearable
        data={type === "boolean" ? YES_NO : parameter.allowed_values.map(String)}
        value={text || null}
        onChange={(value) => onChange(value ?? "")}
      />
    );
  }
  return (
    <TextInput
      {...shared}
      {...(type !== "names" && { inputMode: "decimal" })}
      value={text}
      error={faultOf(parameter, text)}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
