import { Button } from "@mantine/core";
import { IconChevronDown, IconChevronUp } from "@tabler/icons-react";

interface DisclosureProps {
  label: string;
  opened: boolean;
  onToggle: () => void;
}

/** Shows and hides what follows it. */
export function Disclosure({ label, opened, onToggle }: DisclosureProps) {
  const Arrow = opened ? IconChevronUp : IconChevronDown;
  return (
    <Button
      variant="subtle"
      color="gray"
      size="sm"
      px={8}
      ml={-8}
      style={{ alignSelf: "flex-start" }}
      rightSection={<Arrow size={16} aria-hidden />}
      aria-expanded={opened}
      onClick={onToggle}
    >
      {label}
    </Button>
  );
}
