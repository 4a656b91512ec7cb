import { type KeyboardEvent, useLayoutEffect, useRef } from "react";
import classes from "./FillEditor.module.css";

interface FillEditorProps {
  text: string;
  /** Where the completion goes: the text before it is the prompt, the text after it the suffix. */
  cursor: number;
  /** Shown at the cursor, highlighted, until it is kept or dropped. */
  inserted: string;
  busy: boolean;
  onChange: (text: string, cursor: number) => void;
  onCursor: (cursor: number) => void;
  onSubmit: () => void;
  onKeep: () => void;
  onDrop: () => void;
}

const END_MARGIN_PX = 24;

export function FillEditor(props: FillEditorProps) {
  const { text, cursor, inserted, busy } = props;
  const before = text.slice(0, cursor);
  const after = text.slice(cursor);
  const shown = before + inserted + after;
  const input = useRef<HTMLTextAreaElement>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const end = useRef<HTMLSpanElement>(null);
  const caret = cursor + inserted.length;

  // Setting a text area's value moves its caret to the end.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the value that is shown is the cause
  useLayoutEffect(() => {
    const area = input.current;
    if (area && area.selectionStart === area.selectionEnd && area.selectionEnd !== caret) {
      area.setSelectionRange(caret, caret);
    }
  }, [shown, caret]);

  // What is inserted may go on beyond the right edge.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text that grows is the cause
  useLayoutEffect(() => {
    if (busy && scroll.current && end.current) {
      const { clientWidth, scrollLeft } = scroll.current;
      const beyond = end.current.offsetLeft + END_MARGIN_PX - clientWidth;
      if (beyond > scrollLeft || end.current.offsetLeft < scrollLeft) {
        scroll.current.scrollLeft = beyond;
      }
    }
  }, [inserted, busy]);

  function followKeys(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      props.onSubmit();
    } else if (event.key === "Escape" && (inserted || busy)) {
      event.preventDefault();
      props.onDrop();
    } else if (event.key === "Tab" && !event.shiftKey && inserted && !busy) {
      event.preventDefault();
      props.onKeep();
    }
  }

  return (
    <div className={classes.frame}>
      <pre className={classes.numbers} aria-hidden>
        {shown.split("\n").map((_, index) => `${index + 1}\n`)}
      </pre>
      <div className={classes.scroll} ref={scroll}>
        <pre className={classes.shown} aria-hidden>
          {before}
          {inserted ? (
            <>
              <mark className={classes.inserted}>{inserted}</mark>
              <span ref={end} />
            </>
          ) : (
            <span className={classes.cursor} />
          )}
          {after}
          {"\n"}
        </pre>
        <textarea
          ref={input}
          className={classes.input}
          value={shown}
          readOnly={busy}
          wrap="off"
          spellCheck={false}
          autoCapitalize="off"
          autoCorrect="off"
          aria-label="Code; the completion is inserted at the cursor"
          onChange={(event) => props.onChange(event.target.value, event.target.selectionEnd)}
          onSelect={(event) => {
            if (!inserted && !busy) {
              props.onCursor(event.currentTarget.selectionEnd);
            }
          }}
          onKeyDown={followKeys}
        />
      </div>
    </div>
  );
}
