import { describe, expect, it } from "vitest";
import { firstLines, lastLines, partsOf } from "./difference";

describe("partsOf", () => {
  it("is one part when it is right to the letter", () => {
    expect(partsOf("return a + b", "return a + b")).toEqual([
      { isRight: true, text: "return a + b" },
    ]);
  });

  it("tells right from wrong", () => {
    const wrong = partsOf("return a - b", "return a + b").filter((part) => !part.isRight);
    expect(wrong).toEqual([{ isRight: false, text: "-" }]);
  });

  it.each([
    ["return a + b", "return a - b"],
    ["    x = 1\n    y = 2\n", "    x = 1\n"],
    ["", "pass"],
    ["pass", ""],
    ["größe", "größer"],
  ])("is the whole answer: %j", (said, truth) => {
    expect(
      partsOf(said, truth)
        .map((part) => part.text)
        .join(""),
    ).toBe(said);
  });
});

it("cuts at lines", () => {
  expect(lastLines("a\nb\n  ", 2)).toBe("b\n  ");
  expect(firstLines("\nb\nc", 2)).toBe("\nb");
});
