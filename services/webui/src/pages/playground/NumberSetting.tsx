import { NumberInput, type NumberInputProps } from "@mantine/core";
import { useState } from "react";

interface NumberSettingProps extends Omit<NumberInputProps, "value" | "onChange"> {
  value: number;
  onChange: (value: number) => void;
}

/** A number that may be empty while it is typed: then the last one stays in force. */
export function NumberSetting({ value, onChange, ...rest }: NumberSettingProps) {
  const [isEmpty, setEmpty] = useState(false);
  return (
    <NumberInput
      {...rest}
      clampBehavior="strict"
      value={isEmpty ? "" : value}
      onChange={(typed) => {
        setEmpty(typeof typed === "string");
        if (typeof typed === "number") {
          onChange(typed);
        }
      }}
      onBlur={() => setEmpty(false)}
    />
  );
}
