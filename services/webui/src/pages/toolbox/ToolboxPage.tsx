import { Button, Skeleton } from "@mantine/core";
import { IconPlus, IconTools } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { clusterQuery } from "../../api/queries";
import { toolboxQuery } from "../../api/toolbox";
import { DataTable } from "../../parts/DataTable";
import { EmptyState } from "../../parts/EmptyState";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { CommandDrawer, type CommandTask } from "./CommandDrawer";
import { CommandRow } from "./CommandRow";

const COLUMNS = [
  { key: "command", head: "Command" },
  { key: "selection", head: "Selection", width: 140 },
  { key: "origin", head: "Origin", width: 110 },
  { key: "enabled", head: "Offered", width: 90 },
];

/** What plugins and the Playground can do with selected code, and what is said to the model. */
export default function ToolboxPage() {
  const cluster = useQuery(clusterQuery).data;
  const commands = useQuery(toolboxQuery(cluster?.caps_version ?? 0));
  const [task, setTask] = useState<CommandTask | null>(null);
  const add = (
    <Button
      leftSection={<IconPlus size={16} aria-hidden />}
      disabled={!commands.data}
      onClick={() => setTask({ command: null })}
    >
      Add command
    </Button>
  );
  return (
    <Page
      title="Toolbox"
      about="Commands that a chat model answers about selected code, in every IDE and in the Playground."
      action={add}
    >
      {commands.data ? (
        <Surface label="Commands">
          {commands.data.length === 0 ? (
            <EmptyState icon={<IconTools />} title="There is no command">
              Add one: a name to type, and what is said to the model about the selected code.
            </EmptyState>
          ) : (
            <Row flush>
              <DataTable label="Commands" columns={COLUMNS}>
                {commands.data.map((command) => (
                  <CommandRow
                    key={command.name}
                    command={command}
                    onEdit={() => setTask({ command })}
                  />
                ))}
              </DataTable>
            </Row>
          )}
        </Surface>
      ) : commands.isError ? (
        <ProblemAlert
          title="The commands cannot be shown"
          error={commands.error}
          onRetry={() => void commands.refetch()}
        />
      ) : (
        <Skeleton height={420} radius="lg" aria-label="Loading" role="status" />
      )}
      <CommandDrawer
        task={task}
        commands={commands.data ?? []}
        onTask={setTask}
        onClose={() => setTask(null)}
      />
    </Page>
  );
}
