import { Group, Text } from "@mantine/core";
import type { OfferedName } from "../../api/queries";
import { integer } from "../../parts/format";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { SiteMark } from "../../parts/SiteMark";
import { type Generation, tokensPerSecond } from "./useGeneration";

const ENDINGS: Record<string, string> = {
  length: "reached the longest answer",
  stop: "ended by itself",
};

function facts(generation: Generation): [string, string][] {
  const { firstTextSeconds, numTokens, engine, model } = generation;
  const rate = tokensPerSecond(generation);
  const found: [string, string | null][] = [
    ["First token", firstTextSeconds === null ? null : `${firstTextSeconds.toFixed(2)} s`],
    ["Speed", rate === null ? null : `${rate.toFixed(1)} tokens/s`],
    ["Length", numTokens === null ? null : `${integer(numTokens)} tokens`],
    ["Engine", engine],
    ["Answered by", model],
  ];
  return found.filter((fact): fact is [string, string] => fact[1] !== null);
}

function ending(generation: Generation): string {
  switch (generation.status) {
    case "running":
      return generation.text ? "Answering" : "Waiting for the first token";
    case "cancelled":
      return "Stopped";
    case "failed":
      return "Broken off";
    case "done":
      if (!generation.text) {
        return "The model added nothing here";
      }
      return `Done: ${ENDINGS[generation.finishReason ?? ""] ?? "complete"}`;
  }
}

/** Where a question went that no replica of this server answers. */
function Destination({ elsewhere }: { elsewhere: OfferedName }) {
  return (
    <Group gap={6} component="span" data-testid="destination">
      <Text span size="sm">
        <Text span size="sm" c="dimmed">
          Sent to{" "}
        </Text>
        {elsewhere.owned_by}
      </Text>
      <SiteMark leavesSite={elsewhere.leaves_site} />
    </Group>
  );
}

/** How an answer went: state, times, speed, and who gave it. */
export function Outcome({ generation }: { generation: Generation }) {
  const { problem, text } = generation;
  if (problem && !text) {
    return <ProblemAlert title="There is no answer" error={problem} />;
  }
  return (
    <>
      {problem && <ProblemAlert title="The answer broke off" error={problem} />}
      <Group gap={0} style={{ gap: "4px 20px" }} align="baseline" data-testid="outcome">
        <Text size="sm" fw={600} role="status">
          {ending(generation)}
        </Text>
        {generation.elsewhere && <Destination elsewhere={generation.elsewhere} />}
        {facts(generation).map(([name, value]) => (
          <Text key={name} size="sm" style={{ overflowWrap: "anywhere" }}>
            <Text span size="sm" c="dimmed">
              {name}{" "}
            </Text>
            {value}
          </Text>
        ))}
      </Group>
    </>
  );
}
