import { ActionIcon, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import classes from "./CodeBlock.module.css";

type Outcome = "idle" | "copied" | "selected";

const SHOWN_MS = 2_500;
const WORDS: Record<Outcome, string> = {
  idle: "Copy",
  copied: "Copied",
  selected: "Press Ctrl+C to copy",
};

/**
 * Browsers give the clipboard to pages of localhost and https only. Elsewhere the text is selected
 * and copied the old way, and where that is refused too, it stays selected for the user.
 */
async function copy(text: string, element: HTMLElement): Promise<Outcome> {
  if (window.isSecureContext) {
    return navigator.clipboard.writeText(text).then(
      () => "copied",
      () => select(element),
    );
  }
  select(element);
  return document.execCommand("copy") ? "copied" : "selected";
}

function select(element: HTMLElement): Outcome {
  window.getSelection()?.selectAllChildren(element);
  return "selected";
}

/** Text to paste elsewhere. `label` says what it is, for the copy button. */
export function CodeBlock({ text, label }: { text: string; label: string }) {
  const element = useRef<HTMLPreElement>(null);
  const [outcome, setOutcome] = useState<Outcome>("idle");

  useEffect(() => {
    if (outcome === "idle") {
      return;
    }
    const timer = window.setTimeout(() => setOutcome("idle"), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [outcome]);

  return (
    <div className={classes.block}>
      <pre className={classes.text} ref={element}>
        {text}
      </pre>
      <Tooltip label={WORDS[outcome]} position="left" {...(outcome !== "idle" && { opened: true })}>
        <ActionIcon
          className={classes.copy}
          variant="subtle"
          color={outcome === "copied" ? "teal" : "gray"}
          aria-label={outcome === "idle" ? `Copy ${label}` : WORDS[outcome]}
          onClick={() => element.current && void copy(text, element.current).then(setOutcome)}
        >
          {outcome === "copied" ? <IconCheck size={16} /> : <IconCopy size={16} />}
        </ActionIcon>
      </Tooltip>
    </div>
  );
}
