import type { ReactNode } from "react";
import classes from "./Surface.module.css";

/** One line of a Surface. */
export function Row({ children }: { children: ReactNode }) {
  return <div className={classes.row}>{children}</div>;
}
