import { useRef } from "react";
import classes from "./CodeBlock.module.css";
import { CopyButton } from "./CopyButton";

/** Text to paste elsewhere. `label` says what it is, for the copy button. */
export function CodeBlock({ text, label }: { text: string; label: string }) {
  const element = useRef<HTMLPreElement>(null);
  return (
    <div className={classes.block}>
      <pre className={classes.text} ref={element}>
        {text}
      </pre>
      <CopyButton text={() => text} shownBy={element} label={label} className={classes.copy} />
    </div>
  );
}
