import { expect, test } from "vitest";
import {
  contextFault,
  emptyDraft,
  fieldOf,
  nameOfArchive,
  newModelOf,
  overridesOf,
} from "./newModel";

test("a model of the hub is named by its id, trimmed", () => {
  const asked = newModelOf({ ...emptyDraft, place: " Qwen/Qwen3-0.6B ", revision: "main" });
  expect(asked).toMatchObject({ hub_id: "Qwen/Qwen3-0.6B", local_path: "", revision: "main" });
});

test("a folder has no revision", () => {
  const draft = { ...emptyDraft, place: "/models/own", revision: "main", name: "x" };
  const asked = newModelOf({ ...draft, origin: "folder" });
  expect(asked).toMatchObject({ hub_id: "", local_path: "/models/own", revision: "", name: "x" });
});

test("what is not typed is left to the files", () => {
  expect(overridesOf(emptyDraft)).toMatchObject({ context_tokens: 0, fim_family: "" });
  const typed = { ...emptyDraft, context_tokens: " 4096 ", fim_family: "starcoder " };
  expect(overridesOf(typed)).toMatchObject({ context_tokens: 4096, fim_family: "starcoder" });
});

test("a context is a whole number", () => {
  expect(["", "4096", " 8192 "].map(contextFault)).toEqual(["", "", ""]);
  for (const typed of ["4k", "-1", "1.5", "10000000000"]) {
    expect(contextFault(typed)).toContain("whole number");
  }
});

test("an archive names its model", () => {
  expect(nameOfArchive("own-coder.tar.gz")).toBe("own-coder");
  expect(nameOfArchive("qwen2.5-coder.zip")).toBe("qwen2.5-coder");
  expect(nameOfArchive("plain")).toBe("plain");
});

test("what the server says of a parameter is shown at its field", () => {
  expect(fieldOf("hub_id")).toBe("place");
  expect(fieldOf("local_path")).toBe("place");
  expect(fieldOf("name")).toBe("name");
  expect(fieldOf("chat_template")).toBe("chat_template");
  expect(fieldOf("origin")).toBe("");
  expect(fieldOf("deployment_id")).toBe("");
});
