import { Button, Group, Input, PasswordInput, Text } from "@mantine/core";
import { day } from "../../parts/format";

interface KeyFieldProps {
  /** When the one that there is was set, in seconds; 0 for none. */
  setAt: number;
  /** As typed; null leaves the one that there is. */
  value: string | null;
  error: string | undefined;
  onChange: (key: string | null) => void;
}

/** A key is taken and never shown again. */
export function KeyField({ setAt, value, error, onChange }: KeyFieldProps) {
  if (value === null) {
    return (
      <Input.Wrapper label="Key" labelElement="div" error={error}>
        <Group gap="sm" mb={error ? 4 : 0}>
          <Text size="sm">Set {day(setAt)}. It is kept encrypted and not shown again.</Text>
          <Button variant="default" size="xs" onClick={() => onChange("")}>
            Replace the key
          </Button>
        </Group>
      </Input.Wrapper>
    );
  }
  return (
    <div>
      <PasswordInput
        label="Key"
        description={
          setAt > 0
            ? "The new one. Empty: the old one is forgotten, and none is sent."
            : "It is kept encrypted and not shown again. Empty: none is sent."
        }
        autoComplete="off"
        spellCheck={false}
        visibilityToggleButtonProps={{ tabIndex: 0, "aria-label": "Show or hide what is typed" }}
        value={value}
        error={error}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
      {setAt > 0 && (
        <Button variant="subtle" size="compact-xs" mt={4} ml={-6} onClick={() => onChange(null)}>
          Keep the old key
        </Button>
      )}
    </div>
  );
}
