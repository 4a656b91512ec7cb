import { expect, it } from "vitest";
import { type Source, withEvents } from "./sources";

const source = (source_id: string, name: string, num_files = 0) =>
  ({ source_id, name, num_files }) as Source;
const event = (name: string, value: unknown) => ({ name, id: "", data: JSON.stringify(value) });

it("adds, replaces and drops sources, by name", () => {
  const before = [source("1", "b"), source("2", "c")];
  const after = withEvents(before, [
    event("source", source("3", "a")),
    event("source", source("1", "b", 7)),
    event("deleted", { source_id: "2" }),
    event("weather", {}),
  ]);
  expect(after).toEqual([source("3", "a"), source("1", "b", 7)]);
  expect(before).toHaveLength(2);
});
