import { useEffect, useState } from "react";

/** `selected`: the clipboard was refused, and the text is left selected for the user. */
export type CopyOutcome = "idle" | "copied" | "selected";

const SHOWN_MS = 2_500;

/**
 * Browsers give the clipboard to pages of localhost and https only. Elsewhere the text is selected
 * and copied the old way, and where that is refused too, it stays selected for the user.
 */
async function copied(text: string, element: HTMLElement): Promise<CopyOutcome> {
  if (window.isSecureContext) {
    return navigator.clipboard.writeText(text).then(
      () => "copied",
      () => select(element),
    );
  }
  select(element);
  return document.execCommand("copy") ? "copied" : "selected";
}

function select(element: HTMLElement): CopyOutcome {
  window.getSelection()?.selectAllChildren(element);
  return "selected";
}

/** Copies the text that an element shows. The outcome is told for a moment. */
export function useCopy() {
  const [outcome, setOutcome] = useState<CopyOutcome>("idle");
  useEffect(() => {
    if (outcome === "idle") {
      return;
    }
    const timer = window.setTimeout(() => setOutcome("idle"), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [outcome]);
  const copy = (text: string, element: HTMLElement | null) =>
    element ? copied(text, element).then(setOutcome) : Promise.resolve();
  return { outcome, copy };
}
