import type { LogLine } from "../../parts/LogView";

// The same in every line, or shown in another place.
const LEFT_OUT = new Set([
  "time",
  "level",
  "service",
  "logger",
  "message",
  "exception",
  "replica_id",
]);
const CLOCK = /T(\d\d:\d\d:\d\d)/;

/** A line of a replica's log as a person reads it: JSON with its parts, or plain text as it is. */
export function logLine(line: string, id: number): LogLine {
  const told = objectOf(line);
  if (!told || typeof told.message !== "string") {
    return { id, level: "info", clock: "", text: line };
  }
  const rest = Object.entries(told)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const head = [told.message, ...rest].join("  ");
  return {
    id,
    level: typeof told.level === "string" ? told.level : "info",
    clock: (typeof told.time === "string" && CLOCK.exec(told.time)?.[1]) || "",
    text: typeof told.exception === "string" ? `${head}\n${told.exception}` : head,
  };
}

function objectOf(line: string): Record<string, unknown> | null {
  if (!line.startsWith("{")) {
    return null;
  }
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
