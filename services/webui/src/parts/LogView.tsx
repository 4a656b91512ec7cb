import { Button, Text } from "@mantine/core";
import { IconArrowDown } from "@tabler/icons-react";
import { useLayoutEffect, useRef, useState } from "react";
import { CopyButton } from "./CopyButton";
import classes from "./LogView.module.css";

/** `clock` is "" where a line has no time. */
export interface LogLine {
  id: string | number;
  level: string;
  clock: string;
  text: string;
}

interface LogViewProps {
  lines: readonly LogLine[];
  /** A CSS length. */
  height?: string;
}

const END_PX = 24;

/** Lines of a log, newest last. It follows the end until somebody scrolls away from it. */
export function LogView({ lines, height = "360px" }: LogViewProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [isPaused, setPaused] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown is the cause
  useLayoutEffect(() => {
    if (!isPaused) {
      frame.current?.scrollTo({ top: frame.current.scrollHeight });
    }
  }, [lines, isPaused]);

  function noteScroll() {
    if (frame.current) {
      const { scrollTop, scrollHeight, clientHeight } = frame.current;
      setPaused(scrollHeight - scrollTop - clientHeight >= END_PX);
    }
  }

  const text = () =>
    lines.map((line) => [line.clock, line.text].filter(Boolean).join(" ")).join("\n");
  return (
    <div className={classes.block}>
      <div
        ref={frame}
        className={classes.log}
        style={{ height }}
        role="log"
        aria-label="Log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region is reached by keys
        tabIndex={0}
        onScroll={noteScroll}
      >
        {lines.length === 0 && <Text c="dimmed">Nothing was said yet.</Text>}
        {lines.map((line) => (
          <div key={line.id} className={`${classes.line} ${classes[line.level] ?? ""}`}>
            {line.clock && <span className={classes.time}>{line.clock}</span>}
            <span className={classes.text}>{line.text}</span>
          </div>
        ))}
      </div>
      {lines.length > 0 && (
        <CopyButton text={text} shownBy={frame} label="the log" className={classes.copy} />
      )}
      {isPaused && (
        <Button
          className={classes.end}
          size="xs"
          radius="xl"
          leftSection={<IconArrowDown size={14} aria-hidden />}
          onClick={() => setPaused(false)}
        >
          Paused: go to the end
        </Button>
      )}
    </div>
  );
}
