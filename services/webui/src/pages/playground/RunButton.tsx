import { Button } from "@mantine/core";
import { IconPlayerStop } from "@tabler/icons-react";
import type { ReactNode } from "react";

interface RunButtonProps {
  label: string;
  icon: ReactNode;
  disabled: boolean;
  busy: boolean;
  onRun: () => void;
  onStop: () => void;
}

/** Starts an answer, and stops it while it comes. */
export function RunButton({ label, icon, disabled, busy, onRun, onStop }: RunButtonProps) {
  return busy ? (
    <Button
      variant="default"
      leftSection={<IconPlayerStop size={16} aria-hidden />}
      onClick={onStop}
    >
      Stop
    </Button>
  ) : (
    <Button leftSection={icon} onClick={onRun} disabled={disabled}>
      {label}
    </Button>
  );
}
