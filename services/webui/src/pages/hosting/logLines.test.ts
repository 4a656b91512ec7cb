import { expect, it } from "vitest";
import { type ReplicaLog, withLines } from "../../api/replicaLog";
import { logLine } from "./logLines";

it("takes a JSON line apart", () => {
  const line = JSON.stringify({
    time: "2026-11-28T00:44:39.135",
    level: "error",
    service: "replica-a-0",
    replica_id: "a-0",
    logger: "x",
    message: "the engine ended",
    code: 1,
    reason: "out of memory",
    exception: "Traceback",
  });
  expect(logLine(line, 7)).toEqual({
    id: 7,
    level: "error",
    clock: "00:44:39",
    text: "the engine ended  code=1  reason=out of memory\nTraceback",
  });
});

it.each(["Triton is not installed.", "{broken", "{}", '{"message": 3}', ""])(
  "leaves %j as it is",
  (line) => expect(logLine(line, 0)).toEqual({ id: 0, level: "info", clock: "", text: line }),
);

it("lets the first lines of a long log go, and counts them", () => {
  const log: ReplicaLog = { lines: ["first"], numGone: 2, status: "live", problem: null };
  const long = withLines(
    log,
    Array.from({ length: 5_000 }, (_, index) => `${index}`),
  );
  expect([long.lines.length, long.lines[0], long.numGone]).toEqual([5_000, "0", 3]);
});
