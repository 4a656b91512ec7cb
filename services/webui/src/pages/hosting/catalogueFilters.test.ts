import { expect, it } from "vitest";
import type { CatalogueModel } from "../../api/catalogue";
import { matching } from "./catalogueFilters";

const model = (name: string, licence: string, state: string, can: Partial<CatalogueModel> = {}) =>
  ({
    name,
    licence,
    hub_id: `hub/${name}`,
    architecture: "Qwen2",
    weights: { state },
    ...can,
  }) as CatalogueModel;
const models = [
  model("qwen/7b", "Apache-2.0", "absent", { supports_chat: true }),
  model("llama/8b", "Llama", "absent", { supports_chat: true, supports_completion: true }),
  model("starter", "Apache-2.0", "present", { supports_completion: true }),
];
const names = (text: string, capability = "") =>
  matching(models, { text, capability }).map(({ name }) => name);

it("shows what is there first", () =>
  expect(names("")).toEqual(["starter", "qwen/7b", "llama/8b"]));

it.each([
  ["  ", "", 3],
  ["QWEN apache 7b", "", 1],
  ["hub/", "", 3],
  ["gpt", "", 0],
  ["", "supports_chat", 2],
  ["llama", "supports_completion", 1],
  ["", "supports_embeddings", 0],
])("finds %j that can %j: %d", (text, capability, count) =>
  expect(names(text, capability)).toHaveLength(count),
);
