import { Text, UnstyledButton } from "@mantine/core";
import type { Verdict } from "../../api/verdicts";
import { Cell } from "../../parts/DataTable";
import { bytes, loss } from "../../parts/format";
import { VerdictBadge } from "./VerdictBadge";
import classes from "./VerdictRow.module.css";

export function VerdictRow({ verdict, onOpen }: { verdict: Verdict; onOpen: () => void }) {
  return (
    <tr>
      <Cell>
        <UnstyledButton className={classes.path} onClick={onOpen}>
          {verdict.path}
        </UnstyledButton>
        {verdict.detail && (
          <Text size="xs" c="dimmed" mt={2}>
            {verdict.detail}
          </Text>
        )}
      </Cell>
      <Cell>
        <VerdictBadge verdict={verdict} />
      </Cell>
      <Cell>{verdict.language}</Cell>
      <Cell isNumber>{bytes(verdict.size_bytes)}</Cell>
      <Cell isNumber {...(verdict.loss !== null && { label: "Loss" })}>
        {verdict.loss !== null && loss(verdict.loss)}
      </Cell>
    </tr>
  );
}
