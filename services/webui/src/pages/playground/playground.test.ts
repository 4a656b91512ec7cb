import { describe, expect, it } from "vitest";
import type { Piece } from "../../api/generation";
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
  const offered = ["base", "base:auto", "base:mine"];
  it.each([
    ["base:mine", offered, "base:mine"],
    ["gone", offered, "base:auto"],
    ["", ["base"], "base"],
    ["", [], ""],
  ])("of %j in %j is %j", (chosen, names, expected) => {
    expect(chosenModel(chosen, names)).toBe(expected);
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
