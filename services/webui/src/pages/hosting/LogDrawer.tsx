import { Drawer, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import { useReplicaLog } from "../../api/replicaLog";
import { integer } from "../../parts/format";
import { LogView } from "../../parts/LogView";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { logLine } from "./logLines";

const KINDS = [
  { value: "log", label: "Log" },
  { value: "printed", label: "Printed" },
];

/** What a replica says, as it says it. */
export function LogDrawer({ replicaId, onClose }: { replicaId: string; onClose: () => void }) {
  // What was shown stays while the drawer goes away.
  const [shown, setShown] = useState(replicaId);
  if (replicaId && replicaId !== shown) {
    setShown(replicaId);
  }
  return (
    <Drawer
      opened={replicaId !== ""}
      onClose={onClose}
      position="right"
      size="min(980px, 100%)"
      title={`Log of ${shown}`}
      closeButtonProps={{ "aria-label": "Close" }}
      styles={{ title: { fontWeight: 650, overflowWrap: "anywhere" } }}
    >
      {shown && <ReplicaLogView key={shown} replicaId={shown} />}
    </Drawer>
  );
}

function ReplicaLogView({ replicaId }: { replicaId: string }) {
  const [kind, setKind] = useState("log");
  const log = useReplicaLog(replicaId, kind === "printed");
  const lines = useMemo(
    () => log.lines.map((line, index) => logLine(line, log.numGone + index)),
    [log.lines, log.numGone],
  );
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="xs">
        <SegmentedControl
          size="xs"
          aria-label="What is shown"
          data={KINDS}
          value={kind}
          onChange={setKind}
        />
        {log.status !== "ended" && <PhaseBadge phase={log.status} />}
      </Group>
      <Text size="sm" c="dimmed">
        {kind === "log"
          ? "What the replica wrote into its log."
          : "What its process printed: engine and Python say here why they ended."}
        {log.numGone > 0 && ` ${integer(log.numGone)} earlier lines are not shown.`}
      </Text>
      {log.problem && log.status === "ended" ? (
        <ProblemAlert title="The log cannot be shown" error={log.problem} />
      ) : (
        <LogView lines={lines} height="max(240px, calc(100dvh - 190px))" />
      )}
    </Stack>
  );
}
