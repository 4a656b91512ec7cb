import { Button, Skeleton, Stack } from "@mantine/core";
import { IconPlus, IconServerBolt } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { catalogueQuery } from "../../api/catalogue";
import { clusterQuery, type Deployment } from "../../api/queries";
import { Devices } from "../../parts/Devices";
import { EmptyState } from "../../parts/EmptyState";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Section } from "../../parts/Section";
import { Surface } from "../../parts/Surface";
import { DeleteDeployment } from "./DeleteDeployment";
import { DeploymentCard } from "./DeploymentCard";
import { HostDrawer, type HostTask } from "./HostDrawer";
import { LogDrawer } from "./LogDrawer";
import { WeightUploads } from "./WeightUploads";

/** What runs on which device: hosted, watched, changed and stopped. */
export default function HostingPage() {
  const { data: cluster, error, refetch } = useQuery(clusterQuery);
  const models = useQuery(catalogueQuery).data ?? [];
  const [task, setTask] = useState<HostTask | null>(null);
  const [deleting, setDeleting] = useState<Deployment | null>(null);
  const [logOf, setLogOf] = useState("");
  const host = (
    <Button
      leftSection={<IconPlus size={16} aria-hidden />}
      disabled={!cluster}
      onClick={() => setTask({ deployment: null })}
    >
      Host a model
    </Button>
  );
  return (
    <Page
      title="Model hosting"
      about="Which models answer, on which devices, and how they are."
      action={host}
    >
      {cluster ? (
        <>
          <WeightUploads />
          <Section title="Deployments">
            {cluster.deployments.length === 0 && (
              <Surface>
                <EmptyState
                  icon={<IconServerBolt />}
                  title="No model is hosted"
                  action={
                    <Button mt="sm" onClick={() => setTask({ deployment: null })}>
                      Choose a model
                    </Button>
                  }
                >
                  Completions and chat are answered as soon as one is. Choose it from the catalogue;
                  before it starts you see whether it fits your devices.
                </EmptyState>
              </Surface>
            )}
            {cluster.deployments.map((deployment) => (
              <DeploymentCard
                key={deployment.deployment_id}
                deployment={deployment}
                cluster={cluster}
                model={models.find((model) => model.name === deployment.model)}
                onChange={() => setTask({ deployment })}
                onDelete={() => setDeleting(deployment)}
                onLog={setLogOf}
              />
            ))}
          </Section>
          <Section title="Devices">
            <Devices devices={cluster.devices} />
          </Section>
          <HostDrawer task={task} cluster={cluster} onClose={() => setTask(null)} />
          <DeleteDeployment
            deployment={deleting}
            all={cluster.deployments}
            onClose={() => setDeleting(null)}
          />
          <LogDrawer replicaId={logOf} onClose={() => setLogOf("")} />
        </>
      ) : error ? (
        <ProblemAlert
          title="The state of the cluster is not known"
          error={error}
          onRetry={() => void refetch()}
        />
      ) : (
        <Stack aria-label="Loading" role="status">
          <Skeleton height={200} radius="lg" />
          <Skeleton height={180} radius="lg" />
        </Stack>
      )}
    </Page>
  );
}
