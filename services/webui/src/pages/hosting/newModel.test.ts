import { expect, test } from "vitest";
import { emptyDraft, fieldOf, newModelOf } from "./newModel";

test("a model of the hub is named by its id, trimmed", () => {
  const asked = newModelOf({ ...emptyDraft, place: " Qwen/Qwen3-0.6B ", revision: "main" });
  expect(asked).toMatchObject({ hub_id: "Qwen/Qwen3-0.6B", local_path: "", revision: "main" });
});

test("a folder has no revision", () => {
  const asked = newModelOf({ origin: "folder", place: "/models/own", revision: "main", name: "x" });
  expect(asked).toMatchObject({ hub_id: "", local_path: "/models/own", revision: "", name: "x" });
});

test("what the server says of a parameter is shown at its field", () => {
  expect(fieldOf("hub_id")).toBe("place");
  expect(fieldOf("local_path")).toBe("place");
  expect(fieldOf("name")).toBe("name");
  expect(fieldOf("chat_template")).toBe("");
});
