import { Drawer } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type CatalogueModel, catalogueQuery } from "../../api/catalogue";
import type { ClusterState, Deployment } from "../../api/queries";
import { AddModel } from "./AddModel";
import { HostForm } from "./HostForm";
import { ModelPicker } from "./ModelPicker";

/** To host another model, or to change a deployment. */
export interface HostTask {
  deployment: Deployment | null;
}

interface HostDrawerProps {
  task: HostTask | null;
  cluster: ClusterState;
  onClose: () => void;
}

export function HostDrawer({ task, cluster, onClose }: HostDrawerProps) {
  // What was shown stays while the drawer goes away.
  const [shown, setShown] = useState(task);
  if (task && task !== shown) {
    setShown(task);
  }
  const deployment = shown?.deployment ?? null;
  return (
    <Drawer
      opened={task !== null}
      onClose={onClose}
      position="right"
      size="min(1080px, 100%)"
      title={deployment ? `Change ${deployment.deployment_id}` : "Host a model"}
      closeButtonProps={{ "aria-label": "Close" }}
      styles={{
        title: {
          fontWeight: 650,
          fontSize: "var(--mantine-font-size-lg)",
          overflowWrap: "anywhere",
        },
      }}
    >
      <HostSteps deployment={deployment} cluster={cluster} onClose={onClose} />
    </Drawer>
  );
}

interface HostStepsProps {
  deployment: Deployment | null;
  cluster: ClusterState;
  onClose: () => void;
}

/** First the model, then its settings. */
function HostSteps({ deployment, cluster, onClose }: HostStepsProps) {
  const [model, setModel] = useState(deployment?.model ?? "");
  const [isAdding, setIsAdding] = useState(false);
  const known = useQuery(catalogueQuery).data?.find((each) => each.name === model);
  const pick = (picked: CatalogueModel) => {
    setModel(picked.name);
    setIsAdding(false);
  };
  if (isAdding) {
    return <AddModel onAdded={pick} onUpload={onClose} onBack={() => setIsAdding(false)} />;
  }
  if (!model) {
    return (
      <ModelPicker
        deployments={cluster.deployments}
        onPick={pick}
        onAdd={() => setIsAdding(true)}
      />
    );
  }
  return (
    <HostForm
      key={model}
      modelName={model}
      model={known}
      deployment={deployment}
      cluster={cluster}
      onChooseModel={() => setModel("")}
      onDone={onClose}
    />
  );
}
