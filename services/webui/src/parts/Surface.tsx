import type { ReactNode } from "react";
import classes from "./Surface.module.css";

/** A bordered card. Its children are Rows. */
export function Surface({ children, label }: { children: ReactNode; label?: string }) {
  return (
    <section className={classes.surface} aria-label={label}>
      {children}
    </section>
  );
}
