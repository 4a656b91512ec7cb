import { Text } from "@mantine/core";
import { useState } from "react";
import { useDeleteDeployment } from "../../api/deployments";
import type { Deployment } from "../../api/queries";
import { Confirm } from "../../parts/Confirm";
import { whatStops } from "./hosted";

interface DeleteDeploymentProps {
  deployment: Deployment | null;
  all: Deployment[];
  onClose: () => void;
}

export function DeleteDeployment({ deployment, all, onClose }: DeleteDeploymentProps) {
  const remove = useDeleteDeployment();
  // What was asked stays while the dialog goes away.
  const [asked, setAsked] = useState(deployment);
  if (deployment && deployment !== asked) {
    setAsked(deployment);
  }
  return (
    <Confirm
      opened={deployment !== null}
      title={`Stop hosting ${asked?.deployment_id ?? ""}?`}
      verb="Delete the deployment"
      keep="Keep it"
      failure="It was not deleted"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        deployment && remove.mutate(deployment.deployment_id, { onSuccess: onClose })
      }
      onClose={onClose}
      onClosed={remove.reset}
    >
      {asked && whatStops(asked, all).map((sentence) => <Text key={sentence}>{sentence}</Text>)}
      <Text c="dimmed" size="sm">
        The model's weights and its published adapters stay.
      </Text>
    </Confirm>
  );
}
