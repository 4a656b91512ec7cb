import { describe, expect, it } from "vitest";
import type { Piece } from "../../api/generation";
import { type OfferedName, ownFirst } from "../../api/queries";
import { chosenModel, unescaped } from "./parameters";
import { extended, STARTED, tokensPerSecond } from "./useGeneration";

const NOTHING: Piece = { text: "", model: null, engine: null, finishReason: null, numTokens: null };

describe("a generation", () => {
  it("takes its times from text alone", () => {
    let generation = extended(STARTED, NOTHING, 0.1);
    generation = extended(generation, { ...NOTHING, text: "a" }, 0.5);
    generation = extended(generation, { ...NOTHING, text: "b" }, 1.5);
    generation = extended(generation, { ...NOTHING, numTokens: 21 }, 9);
    expect(generation).toMatchObject({ text: "ab", firstTextSeconds: 0.5, seconds: 1.5 });
    expect(tokensPerSecond(generation)).toBe(20);
  });

  it("has no speed without two tokens and some time", () => {
    expect(tokensPerSecond(STARTED)).toBeNull();
    const one = extended(STARTED, { ...NOTHING, text: "a", numTokens: 8 }, 0.5);
    expect(tokensPerSecond(one)).toBeNull();
  });
});

describe("chosenModel", () => {
  const own = (id: string) => ({ id, leaves_site: false }) as OfferedName;
  const outside = { id: "openai/m", leaves_site: true } as OfferedName;
  const offered = [own("base"), own("base:auto"), own("base:mine"), outside];
  it.each([
    ["base:mine", offered, "base:mine"],
    ["gone", offered, "base:auto"],
    ["openai/m", offered, "openai/m"],
    ["", [own("base")], "base"],
    ["gone", [outside], undefined],
    ["", [], undefined],
  ])("of %j in %j is %j", (chosen, models, expected) => {
    expect(chosenModel(chosen, models)?.id).toBe(expected);
  });

  it("shows what leaves the site last", () => {
    const remote = own("qwen");
    const shown = ownFirst([outside, own("base"), remote]);
    expect(shown.map(({ id }) => id)).toEqual(["base", "qwen", "openai/m"]);
  });
});

describe("unescaped", () => {
  it.each([
    ["\\n\\n", "\n\n"],
    ["\\\\n", "\\n"],
    ["a\\tb", "a\tb"],
    ["\\d", "\\d"],
  ])("of %j is %j", (typed, meant) => {
    expect(unescaped(typed)).toBe(meant);
  });
});
