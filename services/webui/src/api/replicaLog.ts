import { useEffect, useState } from "react";
import { type FollowStatus, follow } from "./follow";
import type { Problem } from "./problem";

export interface ReplicaLog {
  /** As they were written, oldest first. */
  lines: string[];
  /** Lines that were before these, and are not kept. */
  numGone: number;
  status: FollowStatus;
  problem: Problem | null;
}

const FIRST_LINES = 500;
const MOST_LINES = 5_000;
const NOTHING: ReplicaLog = { lines: [], numGone: 0, status: "connecting", problem: null };

/** A log with more lines; of a long one the first are let go. */
export function withLines(log: ReplicaLog, more: readonly string[]): ReplicaLog {
  const lines = [...log.lines, ...more];
  const numOver = Math.max(0, lines.length - MOST_LINES);
  return { ...log, lines: lines.slice(numOver), numGone: log.numGone + numOver };
}

/** Follows what a replica says, or what its process `printed`, also one that has ended. */
export function useReplicaLog(replicaId: string, printed: boolean): ReplicaLog {
  const [log, setLog] = useState(NOTHING);
  useEffect(() => {
    setLog(NOTHING);
    const query = `num_lines=${FIRST_LINES}&follow=true&printed=${printed}`;
    // Lines have no ids, so each connection tells the last ones anew.
    let isAnew = true;
    return follow({
      path: `/api/v1/replicas/${encodeURIComponent(replicaId)}/log?${query}`,
      begin: () => {
        isAnew = true;
      },
      listen: (events) => {
        const told = events.flatMap(({ data }) => (JSON.parse(data) as { lines: string[] }).lines);
        const replaces = isAnew;
        isAnew = false;
        setLog((old) => withLines(replaces ? { ...old, lines: [], numGone: 0 } : old, told));
      },
      report: (status, problem) => setLog((old) => ({ ...old, status, problem })),
      isOver: () => false,
    });
  }, [replicaId, printed]);
  return log;
}
