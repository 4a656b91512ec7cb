import { Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { clusterQuery, isElsewhere, offeredNamesQuery } from "../../api/queries";
import { Devices } from "../../parts/Devices";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Section } from "../../parts/Section";
import { Deployments } from "./Deployments";
import { EngineState } from "./EngineState";
import { Models } from "./Models";
import { Services } from "./Services";

export default function OverviewPage() {
  const { data: cluster, error, refetch } = useQuery(clusterQuery);
  const offered = useQuery(offeredNamesQuery(cluster?.caps_version ?? 0)).data ?? [];
  return (
    <Page title="Overview" about="What runs on this cluster, as it happens.">
      {cluster ? (
        <>
          <EngineState cluster={cluster} />
          <Section title="Deployments">
            <Deployments deployments={cluster.deployments} adapters={cluster.adapters} />
          </Section>
          <Section title="Devices">
            <Devices devices={cluster.devices} />
          </Section>
          <Section title="Models">
            <Models
              models={cluster.models}
              deployments={cluster.deployments}
              elsewhere={offered.filter(isElsewhere)}
            />
          </Section>
          <Section title="Services">
            <Services processes={cluster.processes} />
          </Section>
        </>
      ) : error ? (
        <ProblemAlert
          title="The state of the cluster is not known"
          error={error}
          onRetry={() => void refetch()}
        />
      ) : (
        <Stack aria-label="Loading" role="status">
          <Skeleton height={96} radius="lg" />
          <Skeleton height={180} radius="lg" />
          <Skeleton height={140} radius="lg" />
        </Stack>
      )}
    </Page>
  );
}
