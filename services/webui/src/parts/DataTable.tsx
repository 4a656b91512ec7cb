import type { ReactNode } from "react";
import classes from "./DataTable.module.css";

interface Column {
  key: string;
  /** Null for a column of buttons, whose head only a screen reader hears. */
  head: ReactNode;
  isNumber?: boolean;
  width?: number | string;
  sorted?: "ascending" | "descending";
}

interface DataTableProps {
  label: string;
  columns: Column[];
  children: ReactNode;
}

/**
 * A table that becomes a list of cards in a narrow window. Its children are rows of `Cell`s, as many
 * as there are columns.
 */
export function DataTable({ label, columns, children }: DataTableProps) {
  return (
    <table className={classes.table} aria-label={label}>
      <thead>
        <tr>
          {columns.map(({ key, head, isNumber, width, sorted }) => (
            <th
              key={key}
              scope="col"
              className={isNumber ? `${classes.head} ${classes.number}` : classes.head}
              style={{ width }}
              aria-sort={sorted}
            >
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

interface CellProps {
  /** Said before the value in a narrow window, where there is no head. */
  label?: string;
  isNumber?: boolean;
  /** Whether it stays in the corner of a row in a narrow window, as buttons do. */
  isCorner?: boolean;
  /** Whether it has a line of its own in a narrow window. */
  isWhole?: boolean;
  children?: ReactNode;
}

export function Cell({ label, isNumber, isCorner, isWhole, children }: CellProps) {
  const names = [
    classes.cell,
    isNumber && classes.number,
    isCorner && classes.corner,
    isWhole && classes.whole,
  ];
  return (
    <td className={names.filter(Boolean).join(" ")} data-label={label}>
      {children}
    </td>
  );
}
