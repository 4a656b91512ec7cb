import { useSessionStorage } from "@mantine/hooks";
import type { OfferedName } from "../../api/queries";

export interface Parameters {
  /** "" for the first that is offered. */
  model: string;
  maxTokens: number;
  temperature: number;
  /** As typed: \n and \t stand for the characters. */
  stop: string[];
}

export type Kind = "completion" | "chat";

const MAX_TOKENS: Record<Kind, number> = { completion: 64, chat: 256 };

/** Kept while the browser's tab lives, so that a look at another page loses no input. */
export const useParameters = (kind: Kind) =>
  useSessionStorage<Parameters>({
    key: `hearth-playground-${kind}`,
    defaultValue: { model: "", maxTokens: MAX_TOKENS[kind], temperature: 0.2, stop: [] },
  });

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", "\\": "\\" };

/** What a person typed as a stop text, such as `\n\n`, as the text that is meant. */
export const unescaped = (typed: string): string =>
  typed.replace(/\\([nt\\])/g, (_, letter: string) => ESCAPES[letter] ?? letter);

/** The model to ask: the one that was chosen while it is offered, else the one that adapts itself.
 * Nobody is sent elsewhere who did not choose it. */
export function chosenModel(
  chosen: string,
  offered: readonly OfferedName[],
): OfferedName | undefined {
  const own = offered.filter((each) => !each.leaves_site);
  return (
    offered.find((each) => each.id === chosen) ??
    own.find((each) => each.id.endsWith(":auto")) ??
    own[0]
  );
}
