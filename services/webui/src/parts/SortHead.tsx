import { Group, UnstyledButton } from "@mantine/core";
import { IconArrowDown, IconArrowsSort, IconArrowUp } from "@tabler/icons-react";
import classes from "./DataTable.module.css";

interface SortHeadProps {
  label: string;
  sorted: "ascending" | "descending" | undefined;
  onSort: () => void;
}

/** A column's head that sorts by it. */
export function SortHead({ label, sorted, onSort }: SortHeadProps) {
  const Arrow = { ascending: IconArrowUp, descending: IconArrowDown, none: IconArrowsSort }[
    sorted ?? "none"
  ];
  return (
    <UnstyledButton className={classes.sort} onClick={onSort}>
      <Group component="span" gap={4} wrap="nowrap" display="inline-flex">
        {label}
        <Arrow size={14} aria-hidden opacity={sorted ? 1 : 0.45} />
      </Group>
    </UnstyledButton>
  );
}
