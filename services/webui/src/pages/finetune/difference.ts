import { diffWordsWithSpace } from "diff";

/** A part of an answer: `right` where the truth has it too. */
export interface AnswerPart {
  isRight: boolean;
  text: string;
}

/** What of `said` is as the truth has it. Joined, the parts are `said`. */
export function partsOf(said: string, truth: string): AnswerPart[] {
  return diffWordsWithSpace(truth, said)
    .filter((change) => !change.removed)
    .map(({ added, value }) => ({ isRight: !added, text: value }));
}

/** The last `count` lines of what stands before the cursor. */
export const lastLines = (text: string, count: number): string =>
  text.split("\n").slice(-count).join("\n");

/** The first `count` lines of what stands after the cursor. */
export const firstLines = (text: string, count: number): string =>
  text.split("\n").slice(0, count).join("\n");
