import { Alert } from "@mantine/core";
import { IconCheck } from "@tabler/icons-react";
import type { useTestProvider } from "../../api/providers";
import { seconds as inSeconds, plural } from "../../parts/format";
import { ProblemAlert } from "../../parts/ProblemAlert";

interface TestOutcomeProps {
  test: ReturnType<typeof useTestProvider>;
}

/** What a test found: models, an answer, or what is wrong. */
export function TestOutcome({ test }: TestOutcomeProps) {
  if (test.isError) {
    return <ProblemAlert title="It was not tested" error={test.error} />;
  }
  if (!test.data || test.isPending) {
    return null;
  }
  const { problem, seconds, models, answer } = test.data;
  if (problem) {
    return <ProblemAlert title="The test failed" error={new Error(problem)} />;
  }
  const isOfModel = test.variables.model !== "";
  return (
    <Alert color="teal" icon={<IconCheck aria-hidden />} role="status" p="xs">
      {isOfModel
        ? `Answered in ${inSeconds(seconds)}: ${answer.trim() || "(nothing)"}`
        : `It answers: ${plural(models.length, "model")}, in ${inSeconds(seconds)}.`}
    </Alert>
  );
}
