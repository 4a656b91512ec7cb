import { Alert, Group, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { fileQuery, type Verdict } from "../../api/verdicts";
import { Facts } from "../../parts/Facts";
import { bytes, integer, loss, percent } from "../../parts/format";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { FileText } from "./FileText";
import { reasonLabel } from "./reasons";
import { VerdictBadge } from "./VerdictBadge";

export function FileView({ verdict }: { verdict: Verdict }) {
  const file = useQuery(fileQuery(verdict.scan_id, verdict.file_number));
  const others = verdict.reasons.filter((reason) => reason !== verdict.reason);
  return (
    <Stack gap="md">
      <Group gap="xs">
        <VerdictBadge verdict={verdict} />
        {others.length > 0 && (
          <Text size="sm" c="dimmed">
            {verdict.accepted ? "in spite of" : "and also"}: {others.map(reasonLabel).join(", ")}
          </Text>
        )}
      </Group>
      {verdict.detail && <Text>{verdict.detail}</Text>}
      <Facts
        facts={[
          ["Language", verdict.language || "none found"],
          ["Size", bytes(verdict.size_bytes)],
          ["Lines", integer(verdict.num_lines)],
          ["Digits", verdict.digit_share === null ? "" : percent(verdict.digit_share)],
          ["Loss", verdict.loss === null ? "" : `${loss(verdict.loss)} bits per byte`],
          ["Tokens", verdict.num_tokens > 0 ? integer(verdict.num_tokens) : ""],
          ["Licence", verdict.licence],
        ]}
      />
      {file.isError ? (
        <ProblemAlert
          title="The text cannot be shown"
          error={file.error}
          onRetry={() => void file.refetch()}
        />
      ) : !file.data ? (
        <Skeleton height={320} radius="md" aria-label="Loading" />
      ) : file.data.unavailable_reason ? (
        <Alert color="gray">{file.data.unavailable_reason}</Alert>
      ) : (
        <>
          <FileText text={file.data.text} marks={file.data.marks} />
          {file.data.truncated && (
            <Text size="sm" c="dimmed">
              The file goes on: this is its beginning.
            </Text>
          )}
        </>
      )}
    </Stack>
  );
}
