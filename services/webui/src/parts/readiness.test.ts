import { describe, expect, it } from "vitest";
import type { ClusterState, Deployment, OfferedName, Replica } from "../api/queries";
import { isDoing, whyNoChat, whyNotElsewhere, whyNotReady } from "./readiness";

const replica = (phase: string, supports_chat = true) =>
  ({ model: "m", phase, supports_chat }) as Replica;
const deployment = (phase: string, detail = "", replicas: Replica[] = []) =>
  ({ model: "m", phase, detail, replicas }) as Deployment;
const cluster = (...deployments: Deployment[]) => ({ deployments }) as ClusterState;

describe("isDoing", () => {
  it.each([
    ["starting", "Replica m-0 is importing the engine.", "m is starting"],
    ["pending", "", "m is starting"],
    ["pending", "No device has 8 GiB free.", "m waits"],
    ["failed", "", "m could not be started"],
  ])("of %j, %j is %j", (phase, detail, words) => {
    expect(isDoing(deployment(phase, detail))).toBe(words);
  });
});

describe("whyNotReady", () => {
  it("is null as soon as one replica answers", () => {
    const degraded = deployment("degraded", "1 of 2", [replica("ready"), replica("starting")]);
    expect(whyNotReady(cluster(deployment("failed"), degraded))).toBeNull();
  });

  it("tells of the one that will come rather than of the one that failed", () => {
    const found = whyNotReady(cluster(deployment("failed"), deployment("starting", "Loading.")));
    expect(found).toEqual({
      reason: "m is starting. Loading. You can go on here when it is ready.",
      isFailure: false,
    });
  });

  it("is a failure when nothing will come by itself", () => {
    expect(whyNotReady(cluster())?.isFailure).toBe(true);
    expect(whyNotReady(cluster(deployment("failed", "Out of memory.")))?.reason).toContain(
      "m could not be started. Out of memory.",
    );
  });
});

describe("whyNoChat", () => {
  const ready = (supports_chat: boolean) =>
    cluster(deployment("ready", "", [replica("ready", supports_chat)]));
  it.each([
    ["m", true],
    ["m:auto", true],
    ["mm", false],
  ])("lets %j chat: %j", (model, can) => {
    expect(whyNoChat(ready(true), model) === null).toBe(can);
  });

  it("names what a model lacks", () => {
    expect(whyNoChat(ready(false), "m")?.reason).toContain("no chat template");
  });
});

describe("whyNotElsewhere", () => {
  const model = (completion: boolean, chat: boolean) =>
    ({ id: "m", completion, chat }) as OfferedName;
  it.each([
    [model(true, true), "chat", undefined],
    [model(true, false), "completion", undefined],
    [model(true, false), "chat", "can not chat"],
    [model(false, false), "completion", "embeddings"],
  ] as const)("%j for a %s: %j", (asked, use, reason) => {
    expect(whyNotElsewhere(asked, use)?.reason).toEqual(reason && expect.stringContaining(reason));
  });
});
