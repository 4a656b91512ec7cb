import { Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { casesQuery, type Evaluation } from "../../api/evaluations";
import { isOpen } from "../../api/jobs";
import { integer } from "../../parts/format";
import { Pager } from "../../parts/Pager";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { usePageTokens } from "../../parts/usePageTokens";
import { CaseView } from "./CaseView";
import classes from "./CaseView.module.css";

const PAGE_SIZE = 5;

/** The places where base and candidate were compared, a few at a time. */
export function CasesSection({ evaluation }: { evaluation: Evaluation }) {
  const { evaluation_id, num_cases, status } = evaluation;
  const pages = usePageTokens(evaluation_id);
  const page = useQuery(
    casesQuery(evaluation_id, PAGE_SIZE, pages.token, isOpen(status) ? "open" : status),
  );
  const cases = page.data?.cases ?? [];
  const first = (pages.number - 1) * PAGE_SIZE + 1;
  if (page.isError) {
    return (
      <ProblemAlert
        title="The cases cannot be shown"
        error={page.error}
        onRetry={() => void page.refetch()}
      />
    );
  }
  if (!page.data) {
    return <Skeleton height={320} radius="lg" aria-label="Loading" />;
  }
  return (
    <Surface label="Cases side by side">
      <Row>
        <Text size="sm" c="dimmed">
          A piece was cut out of a held-out file, and both filled the gap. What is{" "}
          <mark className={classes.right}>as the file says</mark> and what is{" "}
          <mark className={classes.wrong}>not</mark> is marked.
        </Text>
      </Row>
      {cases.map((each) => (
        <Row key={each.case_number}>
          <CaseView evaluationCase={each} />
        </Row>
      ))}
      <Row>
        <Pager
          pages={pages}
          nextToken={page.data.next_page_token}
          busy={page.isPlaceholderData}
          words={
            cases.length > 0
              ? `Cases ${integer(first)} to ${integer(first + cases.length - 1)} of ${integer(num_cases)}`
              : "No case is done yet"
          }
        />
      </Row>
    </Surface>
  );
}
