import { expect, it } from "vitest";
import type { Deployment } from "../../api/queries";
import { loadingOf } from "./adapterLoading";

const replica = (phase: string, ...loaded_adapter_ids: string[]) => ({ phase, loaded_adapter_ids });
const deployment = (model: string, ...replicas: object[]) => ({ model, replicas }) as Deployment;

it("counts ready replicas of the adapter's own model only", () => {
  const deployments = [
    deployment("m", replica("ready", "a"), replica("ready"), replica("starting", "a")),
    deployment("other", replica("ready", "a")),
  ];
  expect(loadingOf({ adapter_id: "a", model: "m" }, deployments)).toEqual({
    numReady: 2,
    numLoaded: 1,
  });
});
