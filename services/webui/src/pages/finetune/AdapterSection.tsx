import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { clusterQuery } from "../../api/queries";
import type { Run } from "../../api/runs";
import { Row } from "../../parts/Row";
import { Section } from "../../parts/Section";
import { Surface } from "../../parts/Surface";
import { AdapterCard } from "./AdapterCard";

/** What was published from a run, and how to use it. */
export function AdapterSection({ run }: { run: Run }) {
  const cluster = useQuery(clusterQuery).data;
  const adapters =
    cluster?.adapters.filter((adapter) => run.adapter_ids.includes(adapter.adapter_id)) ?? [];
  if (!cluster || adapters.length === 0) {
    return null;
  }
  return (
    <Section title={adapters.length === 1 ? "Adapter" : "Adapters"}>
      <Surface>
        <Row>
          <Text size="sm" c="dimmed">
            An IDE offers it in the list of models; a request of the OpenAI API names it as{" "}
            <Text span ff="monospace" size="sm">
              model
            </Text>
            .
          </Text>
        </Row>
        {adapters.map((adapter) => (
          <Row key={adapter.adapter_id}>
            <AdapterCard adapter={adapter} deployments={cluster.deployments} />
          </Row>
        ))}
      </Surface>
    </Section>
  );
}
