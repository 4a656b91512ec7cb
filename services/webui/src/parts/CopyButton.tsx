import { ActionIcon, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import type { RefObject } from "react";
import { type CopyOutcome, useCopy } from "./useCopy";

const WORDS: Record<CopyOutcome, string> = {
  idle: "Copy",
  copied: "Copied",
  selected: "Press Ctrl+C to copy",
};

interface CopyButtonProps {
  /** Made when it is asked for. */
  text: () => string;
  /** What shows that text. */
  shownBy: RefObject<HTMLElement | null>;
  /** What is copied, such as "the log". */
  label: string;
  className: string | undefined;
}

export function CopyButton({ text, shownBy, label, className }: CopyButtonProps) {
  const { outcome, copy } = useCopy();
  return (
    <Tooltip label={WORDS[outcome]} position="left" {...(outcome !== "idle" && { opened: true })}>
      <ActionIcon
        className={className}
        variant="subtle"
        color={outcome === "copied" ? "teal" : "gray"}
        aria-label={outcome === "idle" ? `Copy ${label}` : WORDS[outcome]}
        onClick={() => void copy(text(), shownBy.current)}
      >
        {outcome === "copied" ? <IconCheck size={16} /> : <IconCopy size={16} />}
      </ActionIcon>
    </Tooltip>
  );
}
