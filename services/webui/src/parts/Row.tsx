import type { ReactNode } from "react";
import classes from "./Surface.module.css";

interface RowProps {
  children: ReactNode;
  /** Whether its content reaches from edge to edge, as a table does. */
  flush?: boolean;
}

/** One line of a Surface. */
export function Row({ children, flush = false }: RowProps) {
  return <div className={flush ? `${classes.row} ${classes.flush}` : classes.row}>{children}</div>;
}
