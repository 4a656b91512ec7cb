import { Code, Group, Switch, Text, UnstyledButton } from "@mantine/core";
import { type Command, useSaveCommand } from "../../api/toolbox";
import { Cell } from "../../parts/DataTable";
import classes from "./CommandRow.module.css";
import { switched } from "./commandDraft";
import { OriginBadge } from "./OriginBadge";

function selectionWords({ selection, min_lines, max_lines }: Command): string {
  return selection === "needed" ? `${min_lines} to ${max_lines} lines` : selection;
}

export function CommandRow({ command, onEdit }: { command: Command; onEdit: () => void }) {
  const save = useSaveCommand();
  const { name, label, description, origin, enabled } = command;
  return (
    <tr>
      <Cell>
        <Group gap="xs">
          <UnstyledButton className={classes.label} onClick={onEdit}>
            {label}
          </UnstyledButton>
          <Code>{name}</Code>
        </Group>
        <Text size="sm" c="dimmed">
          {description}
        </Text>
        {save.isError && (
          <Text size="sm" c="red" role="alert">
            {save.error.message}
          </Text>
        )}
      </Cell>
      <Cell label="Selection:">{selectionWords(command)}</Cell>
      <Cell>
        <OriginBadge origin={origin} />
      </Cell>
      <Cell isCorner>
        <Switch
          aria-label={`Offer ${name}`}
          checked={enabled}
          disabled={save.isPending}
          onChange={(event) =>
            save.mutate({ name, body: switched(command, event.currentTarget.checked) })
          }
        />
      </Cell>
    </tr>
  );
}
