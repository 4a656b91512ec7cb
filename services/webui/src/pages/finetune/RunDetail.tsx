import { Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { runQuery } from "../../api/runs";
import { useRunRecord } from "../../api/useRunRecord";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Section } from "../../parts/Section";
import { Surface } from "../../parts/Surface";
import { AdapterSection } from "./AdapterSection";
import { BackToRuns } from "./BackToRuns";
import { CasesSection } from "./CasesSection";
import { EvaluationCard } from "./EvaluationCard";
import { LossPlot } from "./plot/LossPlot";
import { RunState } from "./RunState";
import { RunTabs } from "./RunTabs";

interface RunDetailProps {
  runId: string;
  projectId: string;
}

/** One run, from its start to the adapter that was made of it. */
export function RunDetail({ runId, projectId }: RunDetailProps) {
  const record = useRunRecord(runId);
  const stored = useQuery(runQuery(runId));
  // Events keep this new too; after the last one it is told what was published since.
  const run = stored.data ?? record.run;

  if (!run) {
    return (
      <Stack gap="sm">
        <BackToRuns projectId={projectId} />
        {stored.isError ? (
          <ProblemAlert
            title="The fine-tune cannot be shown"
            error={stored.error}
            onRetry={() => void stored.refetch()}
          />
        ) : (
          <Stack aria-label="Loading" role="status">
            <Skeleton height={160} radius="lg" />
            <Skeleton height={320} radius="lg" />
          </Stack>
        )}
      </Stack>
    );
  }
  const best = record.checkpoints.find((checkpoint) => checkpoint.best);
  const { evaluation } = record;
  return (
    <Stack gap="xl">
      <Stack gap="sm">
        <BackToRuns projectId={run.project_id} />
        <RunState
          run={run}
          evaluation={evaluation}
          connection={record.status}
          problem={record.problem}
        />
      </Stack>
      <Section title="Loss">
        <Surface>
          <Row>
            <LossPlot
              metrics={record.metrics}
              numSteps={run.progress?.num_total_steps ?? run.plan.parameters.train_steps ?? 0}
              bestStep={best?.step ?? null}
              isLoading={record.status === "connecting"}
            />
          </Row>
        </Surface>
      </Section>
      {evaluation && (
        <Section title="Evaluation">
          <EvaluationCard evaluation={evaluation} />
        </Section>
      )}
      <AdapterSection run={run} />
      {evaluation && evaluation.num_cases > 0 && (
        <Section title="Cases">
          <CasesSection evaluation={evaluation} />
        </Section>
      )}
      <RunTabs run={run} log={record.log} />
    </Stack>
  );
}
