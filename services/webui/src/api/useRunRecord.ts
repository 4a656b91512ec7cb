import { useEffect, useState } from "react";
import { queryClient } from "./client";
import { type FollowStatus, follow } from "./follow";
import { isOpen } from "./jobs";
import type { Problem } from "./problem";
import { afterEvents, NOTHING_TOLD, type RunRecord } from "./runRecord";
import { checkpointsKey, runQuery } from "./runs";

interface FollowedRun extends RunRecord {
  status: FollowStatus;
  problem: Problem | null;
}

/** A run from its first event on, kept as it goes. */
export function useRunRecord(runId: string): FollowedRun {
  const [record, setRecord] = useState(NOTHING_TOLD);
  const [connection, setConnection] = useState<Pick<FollowedRun, "status" | "problem">>({
    status: "connecting",
    problem: null,
  });
  useEffect(() => {
    let told = NOTHING_TOLD;
    setRecord(told);
    return follow({
      path: `/api/v1/runs/${runId}/events`,
      listen: (events) => {
        const { run, checkpoints } = told;
        told = afterEvents(told, events);
        setRecord(told);
        if (told.run && told.run !== run) {
          queryClient.setQueryData(runQuery(runId).queryKey, told.run);
        }
        if (told.checkpoints !== checkpoints) {
          void queryClient.invalidateQueries({ queryKey: checkpointsKey(runId) });
        }
      },
      report: (status, problem) => {
        setConnection({ status, problem });
        if (status === "ended") {
          // What was published at the end.
          void queryClient.invalidateQueries({ queryKey: checkpointsKey(runId) });
          void queryClient.invalidateQueries({ queryKey: ["runs"] });
        }
      },
      isOver: () => told.run !== null && !isOpen(told.run.status),
    });
  }, [runId]);
  return { ...record, ...connection };
}
