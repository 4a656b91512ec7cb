import { describe, expect, it } from "vitest";
import { afterEvents, NOTHING_TOLD, withMetrics } from "./runRecord";
import type { RunMetrics } from "./runs";

const point = (step: number, attempt = 1, train_loss = 1) =>
  ({ step, attempt, train_loss }) as RunMetrics;
const event = (name: string, value: unknown, id = "1") => ({
  name,
  id,
  data: JSON.stringify(value),
});

describe("withMetrics", () => {
  it("adds steps in order", () => {
    expect(withMetrics([point(1)], [point(2), point(3)]).map((each) => each.step)).toEqual([
      1, 2, 3,
    ]);
  });

  it("replaces a step that is told again, as after a reconnect", () => {
    expect(withMetrics([point(1), point(2, 1, 5)], [point(2, 1, 4)])).toEqual([
      point(1),
      point(2, 1, 4),
    ]);
  });

  it("drops what an attempt that was lost had told above", () => {
    const before = [point(1), point(2), point(3), point(4)];
    expect(withMetrics(before, [point(3, 2)])).toEqual([point(1), point(2), point(3, 2)]);
  });

  it("leaves what it was given as it was", () => {
    const before = [point(1), point(2)];
    withMetrics(before, [point(1)]);
    expect(before).toHaveLength(2);
  });
});

describe("afterEvents", () => {
  it("keeps the newest run and evaluation, and every line of the log", () => {
    const record = afterEvents(NOTHING_TOLD, [
      event("run", { status: "queued" }),
      event("log", { level: "info", text: "a" }, "1"),
      event("run", { status: "running" }),
      event("log", { level: "info", text: "b" }, "2"),
      event("evaluation", { fraction: 0.5 }),
      event("evaluation", { fraction: 1 }),
    ]);
    expect(record.run?.status).toBe("running");
    expect(record.log.map((line) => [line.id, line.text])).toEqual([
      ["1", "a"],
      ["2", "b"],
    ]);
    expect(record.evaluation?.fraction).toBe(1);
  });

  it("knows one best checkpoint, and sorts them by step", () => {
    const record = afterEvents(NOTHING_TOLD, [
      event("checkpoint", { checkpoint_id: "b", step: 20, best: true }),
      event("checkpoint", { checkpoint_id: "a", step: 10, best: false }),
      event("checkpoint", { checkpoint_id: "c", step: 30, best: true }),
    ]);
    expect(record.checkpoints.map((each) => [each.checkpoint_id, each.best])).toEqual([
      ["a", false],
      ["b", false],
      ["c", true],
    ]);
  });

  it("passes over events that it does not know", () => {
    expect(afterEvents(NOTHING_TOLD, [event("weather", { rain: true })])).toEqual(NOTHING_TOLD);
  });
});
