import { expect, it } from "vitest";
import { blocksOf } from "./blocks";

it.each([
  ["", []],
  ["plain `x` text", ["plain `x` text"]],
  ["```python\ndef f():\n    pass\n```", ["|def f():\n    pass"]],
  ["Here:\n\n```\n  a\n```\n\nDone.\n", ["Here:", "|  a", "Done."]],
  ["still open\n```py\nx = 1\ny", ["still open", "|x = 1\ny"]],
  ["only begun\n```", ["only begun"]],
  ["```in line```", ["```in line```"]],
])("blocksOf(%j)", (answer, expected) => {
  expect(blocksOf(answer).map(({ text, isCode }) => (isCode ? `|${text}` : text))).toEqual(
    expected,
  );
});
