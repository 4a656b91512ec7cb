import { describe, expect, it } from "vitest";
import type { OfferedModel } from "../../api/providers";
import {
  abilityWords,
  areSaved,
  draftOfModel,
  draftOfName,
  draftOfOffer,
  faultsOfModel,
  isSaved,
  matchingOffers,
  modelOf,
  nameFault,
  OWN_FIM,
} from "./modelDraft";

const offer: OfferedModel = {
  name: "gpt-5",
  context_tokens: 0,
  max_output_tokens: 0,
  supports_chat: true,
  supports_completion: false,
  supports_fill_in_the_middle: false,
  supports_tools: true,
  supports_images: false,
};
const draft = draftOfOffer(offer, true);

describe("a picked model", () => {
  it("has the context that its provider tells, else a usual one outside", () => {
    expect(draft.contextTokens).toBe("128000");
    expect(draftOfOffer({ ...offer, context_tokens: 32768 }, true).contextTokens).toBe("32768");
    expect(draftOfName("own", false).contextTokens).toBe("");
  });

  it("makes embeddings if it is called so, and asks how large", () => {
    const embedding = draftOfName("text-embedding-3-small", true);
    expect(embedding.makesEmbeddings).toBe(true);
    expect(faultsOfModel(embedding)).toHaveProperty("embeddingSize");
    expect(modelOf({ ...embedding, embeddingSize: "1536" }).embedding_size).toBe(1536);
  });

  it.each([
    ["", { supports_fill_in_the_middle: false, fim_family: "" }],
    [OWN_FIM, { supports_fill_in_the_middle: true, fim_family: "" }],
    ["starcoder2", { supports_fill_in_the_middle: false, fim_family: "starcoder2" }],
  ])("fills in the middle by %j", (fim, expected) => {
    const model = modelOf({ ...draft, fim });
    expect(model).toMatchObject(expected);
    expect(draftOfModel(model).fim).toBe(fim);
  });
});

describe("faultsOfModel", () => {
  it.each([
    [{}, []],
    [{ contextTokens: "" }, ["contextTokens"]],
    [{ contextTokens: "0" }, ["contextTokens"]],
    [{ contextTokens: "128k" }, ["contextTokens"]],
    [{ contextTokens: "3000000000" }, ["contextTokens"]],
    [{ maxOutput: "1.5" }, ["maxOutput"]],
    [{ maxOutput: "4096" }, []],
    [{ chat: false }, ["abilities"]],
    [{ chat: false, fim: OWN_FIM }, []],
  ])("of %j is at %j", (changes, fields) => {
    expect(Object.keys(faultsOfModel({ ...draft, ...changes }))).toEqual(fields);
  });
});

it("knows what is saved as it is", () => {
  const other = draftOfName("other", true);
  const saved = [modelOf(draft), modelOf(other)];
  expect(isSaved(draft, saved)).toBe(true);
  expect(isSaved({ ...draft, tools: false }, saved)).toBe(false);
  expect(isSaved(draftOfName("third", true), saved)).toBe(false);
  expect(areSaved([draft, other], saved)).toBe(true);
  expect(areSaved([draft], saved)).toBe(false);
  expect(areSaved([other, draft], saved)).toBe(false);
});

it("says in words what a model can do", () => {
  expect(abilityWords(modelOf({ ...draft, images: true }))).toEqual(["chat", "tools", "images"]);
  expect(abilityWords(modelOf({ ...draft, chat: false, fim: OWN_FIM }))).toEqual([
    "fill in the middle",
  ]);
  const embedding = { ...draft, makesEmbeddings: true, embeddingSize: "1536" };
  expect(abilityWords(modelOf(embedding))).toEqual(["embeddings of 1,536 numbers"]);
});

it("finds offers by every word", () => {
  const offers = ["gpt-5-mini", "gpt-5", "o3-mini"].map((name) => ({ ...offer, name }));
  const names = (typed: string) => matchingOffers(offers, typed).map(({ name }) => name);
  expect(names("")).toHaveLength(3);
  expect(names("MINI gpt")).toEqual(["gpt-5-mini"]);
});

it.each([
  ["mistral-large", ""],
  ["two words", "one word"],
  [":auto", "one word"],
  ["gpt-5", "picked already"],
])("nameFault(%j) tells %j", (typed, words) => {
  expect(nameFault(typed, [draft])).toContain(words);
  expect(nameFault(typed, [draft]) === "").toBe(words === "");
});
