import { Alert, Progress, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconHourglass, IconScale } from "@tabler/icons-react";
import type { Evaluation } from "../../api/evaluations";
import { percent, plural, short } from "../../parts/format";
import { Row } from "../../parts/Row";
import { StateBanner } from "../../parts/StateBanner";
import { Surface } from "../../parts/Surface";
import { Measure } from "./Measure";
import { verdictWords } from "./verdictWords";

const seconds = (value: number) =>
  value < 1 ? `${Math.round(1000 * value)} ms` : `${short(Number(value.toPrecision(3)))} s`;

/** Whether the candidate completes held-out code better than the base, and by how much. */
export function EvaluationCard({ evaluation }: { evaluation: Evaluation }) {
  const { status, base_scores, candidate_scores, fraction, num_cases, num_files } = evaluation;
  const words = verdictWords(evaluation);
  if (status === "failed") {
    return (
      <Alert color="red" title="It was not evaluated" icon={<IconAlertTriangle aria-hidden />}>
        {evaluation.error} The checkpoints are whole, and can be published below.
      </Alert>
    );
  }
  if (!words) {
    return (
      <Surface>
        <Row>
          <Stack gap="xs">
            <Text fw={600}>
              <IconHourglass size={16} aria-hidden />{" "}
              {status === "cancelled" ? "It was cancelled" : "The cases are being completed"}
            </Text>
            <Progress value={100 * fraction} aria-label="Progress of the evaluation" />
            <Text size="sm" c="dimmed">
              {percent(fraction)} of the cases
            </Text>
          </Stack>
        </Row>
      </Surface>
    );
  }
  return (
    <Stack gap="md">
      <StateBanner colour={words.colour} icon={<IconScale />} title={words.title}>
        {evaluation.summary}
      </StateBanner>
      {base_scores && candidate_scores && (
        <Surface label="Measures">
          <Row>
            <Text size="sm" c="dimmed">
              {plural(num_cases, "case")} from {plural(num_files, "held-out file")}, completed by
              both. The band is the 95 % interval of the difference; where it leaves out 0, the
              difference is real.
            </Text>
          </Row>
          <Row>
            <Measure
              label="Edit similarity"
              about="How close a completion is to what the file says"
              base={base_scores.edit_similarity}
              candidate={candidate_scores.edit_similarity}
              full={1}
              words={percent}
              difference={evaluation.edit_similarity_difference}
              isHigherBetter
            />
          </Row>
          <Row>
            <Measure
              label="Exact match"
              about="Completions right to the letter"
              base={base_scores.exact_match_share}
              candidate={candidate_scores.exact_match_share}
              full={1}
              words={percent}
              difference={null}
              isHigherBetter
            />
          </Row>
          <Row>
            <Measure
              label="Loss"
              about="How surprising the held-out files are, in nats per token"
              base={base_scores.mean_loss}
              candidate={candidate_scores.mean_loss}
              full={Math.max(base_scores.mean_loss, candidate_scores.mean_loss)}
              words={(value) => value.toFixed(3)}
              difference={evaluation.loss_difference}
              isHigherBetter={false}
            />
          </Row>
          <Row>
            <Measure
              label="Latency"
              about={`Median of a completion; 95 of 100 within ${seconds(base_scores.latency_p95_seconds)} and ${seconds(candidate_scores.latency_p95_seconds)}`}
              base={base_scores.latency_p50_seconds}
              candidate={candidate_scores.latency_p50_seconds}
              full={Math.max(base_scores.latency_p50_seconds, candidate_scores.latency_p50_seconds)}
              words={seconds}
              difference={null}
              isHigherBetter={false}
            />
          </Row>
        </Surface>
      )}
    </Stack>
  );
}
