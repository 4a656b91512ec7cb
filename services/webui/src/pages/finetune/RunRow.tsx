import { type MantineColor, Progress, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { evaluationQuery } from "../../api/evaluations";
import { isOpen } from "../../api/jobs";
import type { Run } from "../../api/runs";
import { Cell } from "../../parts/DataTable";
import { duration, integer, loss, moment } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { useNow } from "../../parts/useNow";
import classes from "./RunRow.module.css";
import { RunVerdict } from "./RunVerdict";
import { phaseWords, runShare } from "./runWay";

const BAR_COLOURS: Record<Run["status"], MantineColor> = {
  queued: "blue",
  running: "blue",
  succeeded: "teal",
  failed: "red",
  cancelled: "gray",
};

export function RunRow({ run }: { run: Run }) {
  const open = isOpen(run.status);
  const now = useNow(open ? 1 : 3600);
  // An evaluation changes until its run has ended.
  const evaluation = useQuery({
    ...evaluationQuery(run.evaluation_id),
    enabled: !open && run.evaluation_id !== "",
  });
  const best = run.progress?.best_test_loss ?? null;
  const steps = run.progress?.num_done_steps ?? 0;
  return (
    <tr>
      <Cell>
        <Link
          className={classes.name}
          href={`/finetune?project=${run.project_id}&run=${run.run_id}`}
        >
          {run.spec.name}
        </Link>
        <Text size="xs" c="dimmed">
          {run.spec.model}
        </Text>
      </Cell>
      <Cell>
        <PhaseBadge phase={run.status} />
      </Cell>
      <Cell isWhole>
        <Progress
          value={100 * runShare(run)}
          color={BAR_COLOURS[run.status]}
          aria-label={`Progress of ${run.spec.name}`}
          mt={6}
        />
        <Text size="xs" c="dimmed" mt={4}>
          {open ? phaseWords(run) : steps > 0 ? `${integer(steps)} steps` : ""}
        </Text>
      </Cell>
      <Cell isNumber {...(best !== null && { label: "Best test loss" })}>
        {best !== null && loss(best)}
      </Cell>
      <Cell>{evaluation.data && <RunVerdict evaluation={evaluation.data} />}</Cell>
      <Cell>{run.started_at > 0 ? moment(run.started_at) : ""}</Cell>
      <Cell isNumber>
        {run.started_at > 0 ? duration((run.finished_at || now) - run.started_at) : ""}
      </Cell>
    </tr>
  );
}
