import { Text, TextInput, type TextInputProps } from "@mantine/core";

interface NumberFieldProps extends Omit<TextInputProps, "onChange" | "value"> {
  /** As typed; "" for automatic. */
  text: string;
  unit?: string;
  onChange: (text: string) => void;
}

/** A number as it is typed; what is wrong with it is said below, never corrected behind one's back. */
export function NumberField({ text, unit, onChange, ...rest }: NumberFieldProps) {
  return (
    <TextInput
      inputMode="decimal"
      // Descriptions differ in length; fields beside each other are in line.
      inputWrapperOrder={["label", "input", "error", "description"]}
      rightSection={
        unit && (
          <Text size="sm" c="dimmed">
            {unit}
          </Text>
        )
      }
      rightSectionWidth={unit ? 20 + 8 * unit.length : 0}
      rightSectionPointerEvents="none"
      {...rest}
      value={text}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
