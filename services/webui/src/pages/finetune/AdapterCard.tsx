import { Badge, Button, Collapse, Group, Loader, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { ClusterState, Deployment } from "../../api/queries";
import { CodeBlock } from "../../parts/CodeBlock";
import { curlCompletion } from "../../parts/curl";
import { integer, moment } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { serverAddress } from "../../place";
import { type Loading, loadingOf } from "./adapterLoading";

interface AdapterCardProps {
  adapter: ClusterState["adapters"][number];
  deployments: Deployment[];
}

function LoadingBadge({ loading }: { loading: Loading }) {
  const { numReady, numLoaded } = loading;
  if (numReady === 0) {
    return (
      <Badge variant="light" color="gray" tt="none" miw="fit-content">
        no replica of the model is ready
      </Badge>
    );
  }
  const isLoaded = numLoaded === numReady;
  return (
    <Badge
      variant="light"
      color={numLoaded > 0 ? "teal" : "blue"}
      tt="none"
      miw="fit-content"
      leftSection={isLoaded ? null : <Loader size={10} color="currentColor" />}
    >
      {numLoaded === 0
        ? "replicas are loading it"
        : `loaded by ${integer(numLoaded)} of ${integer(numReady)} ${numReady === 1 ? "replica" : "replicas"}`}
    </Badge>
  );
}

export function AdapterCard({ adapter, deployments }: AdapterCardProps) {
  const [opened, { toggle }] = useDisclosure(false);
  const name = `${adapter.model}:${adapter.name}`;
  const body = JSON.stringify({ model: name, prompt: "def ", max_tokens: 32 });
  return (
    <Stack gap="sm">
      <RecordLine
        name={name}
        facts={[`published ${moment(adapter.created_at)}`, `rank ${integer(adapter.rank)}`]}
        aside={<LoadingBadge loading={loadingOf(adapter, deployments)} />}
        wideAside
      />
      <CodeBlock text={name} label="the model name" />
      <Group>
        <Button variant="default" size="xs" aria-expanded={opened} onClick={toggle}>
          {opened ? "Hide the command" : "Try it in a terminal"}
        </Button>
      </Group>
      <Collapse expanded={opened}>
        <CodeBlock text={curlCompletion(serverAddress(), "YOUR_TOKEN", body)} label="the command" />
      </Collapse>
    </Stack>
  );
}
