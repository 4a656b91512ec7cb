export interface Block {
  text: string;
  isCode: boolean;
}

// A line of backticks, perhaps with the name of a language.
const FENCE = /^\s*```[^`]*$/;

/** An answer cut at its code fences. One that is still open holds the rest of the text. */
export function blocksOf(answer: string): Block[] {
  const blocks: { lines: string[]; isCode: boolean }[] = [{ lines: [], isCode: false }];
  for (const line of answer.split("\n")) {
    const last = blocks[blocks.length - 1];
    if (FENCE.test(line)) {
      blocks.push({ lines: [], isCode: !last?.isCode });
    } else {
      last?.lines.push(line);
    }
  }
  return blocks
    .map(({ lines, isCode }) => ({ text: lines.join("\n").replace(/^\n+|\s+$/g, ""), isCode }))
    .filter((block) => block.text !== "");
}
