import type { ClusterState, Deployment, Replica } from "../api/queries";

export const readyReplicas = (deployment: Deployment): Replica[] =>
  deployment.replicas.filter((replica) => replica.phase === "ready");

/** Deployments by what a user can expect of them. */
export function deploymentsIn(cluster: ClusterState) {
  const answering = cluster.deployments.filter((one) => readyReplicas(one).length > 0);
  const others = cluster.deployments.filter((one) => !answering.includes(one));
  const failed = others.filter((one) => one.phase === "failed");
  const starting = others.filter((one) => one.phase !== "failed");
  return { answering, starting, failed };
}

/** Why no completion can be had now, or null when one can. */
export function whyNotReady(cluster: ClusterState): string | null {
  const { answering, starting, failed } = deploymentsIn(cluster);
  const [one] = [...starting, ...failed];
  if (answering.length > 0) {
    return null;
  }
  if (!one) {
    return "No model is deployed.";
  }
  const verb = one.phase === "failed" ? "could not be started" : "is starting";
  return `${one.model} ${verb}. ${one.detail}`.trim();
}

/** Why `model` can not chat now, or null when it can. */
export function whyNoChat(cluster: ClusterState, model: string): string | null {
  const able = cluster.deployments
    .flatMap(readyReplicas)
    .filter((replica) => replica.supports_chat)
    .map((replica) => replica.model);
  const isAble = able.some((base) => model === base || model.startsWith(`${base}:`));
  return (
    whyNotReady(cluster) ??
    (isAble ? null : `${model} has no chat template: it completes, but can not chat.`)
  );
}
