import type { ClusterState, Deployment, OfferedName, Replica } from "../api/queries";

/** Why something cannot be asked for now. `reason` is "" while that is being found out. */
export interface Hindrance {
  reason: string;
  /** Whether it stays so until somebody does something. */
  isFailure: boolean;
}

export const UNREACHABLE: Hindrance = {
  reason:
    "Hearth does not answer. It is tried again every few seconds; this page goes on by itself.",
  isFailure: false,
};

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

/** Whether it cannot start before something else changes. */
export const isWaiting = ({ phase, detail }: Deployment) => phase === "pending" && detail !== "";

/** What a deployment that does not answer is doing, such as "MODEL is starting". */
export function isDoing(deployment: Deployment): string {
  if (deployment.phase === "failed") {
    return `${deployment.model} could not be started`;
  }
  return `${deployment.model} ${isWaiting(deployment) ? "waits" : "is starting"}`;
}

/** What hinders every completion, or null when one can be had. */
export function whyNotReady(cluster: ClusterState): Hindrance | null {
  const { answering, starting, failed } = deploymentsIn(cluster);
  const [one] = [...starting, ...failed];
  if (answering.length > 0) {
    return null;
  }
  if (!one) {
    return { reason: "No model is deployed. The overview shows what runs.", isFailure: true };
  }
  const isFailure = one.phase === "failed";
  const next = isFailure ? "The overview shows what runs." : "You can go on here when it is ready.";
  return { reason: [`${isDoing(one)}.`, one.detail, next].filter(Boolean).join(" "), isFailure };
}

/** What hinders a chat with `model`, or null. */
export function whyNoChat(cluster: ClusterState, model: string): Hindrance | null {
  const able = cluster.deployments
    .flatMap(readyReplicas)
    .filter((replica) => replica.supports_chat)
    .map((replica) => replica.model);
  const isAble = able.some((base) => model === base || model.startsWith(`${base}:`));
  const reason = `${model} has no chat template: it completes, but can not chat. Choose another model.`;
  return whyNotReady(cluster) ?? (isAble ? null : { reason, isFailure: true });
}

/** What hinders a question to a model of another server, whose replicas nobody here knows; or null. */
export function whyNotElsewhere(model: OfferedName, use: "completion" | "chat"): Hindrance | null {
  const lack = !model.completion
    ? "makes embeddings: it neither completes nor chats"
    : use === "chat" && !model.chat
      ? "completes, but can not chat"
      : "";
  return lack ? { reason: `${model.id} ${lack}. Choose another model.`, isFailure: true } : null;
}
