import { Text } from "@mantine/core";
import { useLayoutEffect, useRef } from "react";
import type { LogEntry } from "../../api/runRecord";
import classes from "./LogView.module.css";

const clock = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
const END_PX = 24;

/** What the trainer said, newest last. It follows the end until somebody scrolls away from it. */
export function LogView({ log }: { log: LogEntry[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const followsEnd = useRef(true);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown is the cause
  useLayoutEffect(() => {
    if (followsEnd.current) {
      frame.current?.scrollTo({ top: frame.current.scrollHeight });
    }
  }, [log]);

  function noteScroll() {
    if (frame.current) {
      const { scrollTop, scrollHeight, clientHeight } = frame.current;
      followsEnd.current = scrollHeight - scrollTop - clientHeight < END_PX;
    }
  }

  return (
    <div
      ref={frame}
      className={classes.log}
      role="log"
      aria-label="Log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region is reached by keys
      tabIndex={0}
      onScroll={noteScroll}
    >
      {log.length === 0 && <Text c="dimmed">Nothing was said yet.</Text>}
      {log.map((line) => (
        <div key={line.id} className={`${classes.line} ${classes[line.level] ?? ""}`}>
          <span className={classes.time}>{clock.format(line.event_at * 1000)}</span>
          <span>{line.text}</span>
        </div>
      ))}
    </div>
  );
}
