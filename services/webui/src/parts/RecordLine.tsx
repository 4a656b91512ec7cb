import { Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./RecordLine.module.css";

interface RecordLineProps {
  name: ReactNode;
  /** Shown after each other; what is empty is left out. */
  facts: (string | false | undefined)[];
  aside: ReactNode;
  /** Whether `aside` is too wide to stay beside the name in a narrow window. */
  wideAside?: boolean;
  children?: ReactNode;
}

/** How one record of a list looks everywhere: its name, facts about it, and its state at the side. */
export function RecordLine({ name, facts, aside, wideAside = false, children }: RecordLineProps) {
  const known = facts.filter(Boolean);
  return (
    <div className={wideAside ? `${classes.line} ${classes.wide}` : classes.line}>
      <div className={classes.words}>
        <Text component="div" fw={600}>
          {name}
        </Text>
        {known.length > 0 && (
          <Text size="sm" c="dimmed">
            {known.map((fact, index) => (
              <span key={fact || index} className={classes.fact}>
                {fact}
                {index < known.length - 1 && " ·"}&nbsp;
              </span>
            ))}
          </Text>
        )}
        {children}
      </div>
      <div className={classes.aside}>{aside}</div>
    </div>
  );
}
