import { Group, Text } from "@mantine/core";
import type { EvaluationCase } from "../../api/evaluations";
import { percent } from "../../parts/format";
import { CaseAnswer } from "./CaseAnswer";
import classes from "./CaseView.module.css";
import { firstLines, lastLines } from "./difference";

const LINES_BEFORE = 8;
const LINES_AFTER = 4;

interface CaseViewProps {
  evaluationCase: EvaluationCase;
}

/** One gap: what surrounds it, what the file says there, and what base and candidate said. */
export function CaseView({ evaluationCase }: CaseViewProps) {
  const { case_number, path, language, prefix, middle, suffix } = evaluationCase;
  const { base_middle, candidate_middle } = evaluationCase;
  const { base_edit_similarity, candidate_edit_similarity } = evaluationCase;
  return (
    <article aria-label={`Case ${case_number}`}>
      <Group justify="space-between" gap="xs" mb="xs">
        <Text size="sm" fw={600} ff="monospace" style={{ overflowWrap: "anywhere" }}>
          {path}
        </Text>
        <Text size="sm" c="dimmed">
          {language}
        </Text>
      </Group>
      <div className={classes.case}>
        <pre className={classes.around}>{lastLines(prefix, LINES_BEFORE)}</pre>
        <div className={classes.answers}>
          <section className={classes.answer} aria-label="The file">
            <Text size="xs" c="dimmed" mb={4}>
              The file says
            </Text>
            <pre className={classes.middle}>{middle}</pre>
          </section>
          <CaseAnswer
            who="Base"
            about={`${percent(base_edit_similarity)} alike`}
            said={base_middle}
            truth={middle}
          />
          <CaseAnswer
            who="Fine-tuned"
            about={`${percent(candidate_edit_similarity)} alike`}
            said={candidate_middle}
            truth={middle}
          />
        </div>
        <pre className={classes.around}>{firstLines(suffix, LINES_AFTER)}</pre>
      </div>
    </article>
  );
}
