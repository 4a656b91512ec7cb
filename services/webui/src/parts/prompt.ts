import type { Command, PromptMessage } from "../api/toolbox";

/** What a plugin puts in place of placeholders. */
export interface PromptValues {
  code: string;
  file: string;
  line: number;
  args: string;
}

export const PLACEHOLDERS: Record<string, { words: string; of: (values: PromptValues) => string }> =
  {
    "%CODE_SELECTION%": { words: "the selected code", of: ({ code }) => code },
    "%CURRENT_FILE%": { words: "the path of the file", of: ({ file }) => file },
    "%CURSOR_LINE%": { words: "the line of the cursor", of: ({ line }) => String(line) },
    "%ARGS%": { words: "what was typed after the command", of: ({ args }) => args },
  };

const ANY = /%[A-Z][A-Z0-9_]*%/g;

/** In one pass: code that has a placeholder in it stays as it is. */
export const filledIn = (content: string, values: PromptValues): string =>
  content.replace(ANY, (found) => PLACEHOLDERS[found]?.of(values) ?? found);

export const filledInMessages = (messages: PromptMessage[], values: PromptValues) =>
  messages.map(({ role, content }) => ({ role, content: filledIn(content, values) }));

export const usesArgs = (command: Command): boolean =>
  command.messages.some(({ content }) => content.includes("%ARGS%"));

/** How many lines are selected; a last line break begins no line. */
export const linesOf = (code: string): number =>
  code === "" ? 0 : code.replace(/\n$/, "").split("\n").length;

/** Why this code cannot be sent with a command; "" when it can. */
export function selectionFault(command: Command, code: string): string {
  if (command.selection !== "needed") {
    return "";
  }
  const num = linesOf(code.trim());
  if (num === 0) {
    return "It needs code";
  }
  const { min_lines: least, max_lines: most } = command;
  return num < least || num > most ? `It takes ${least} to ${most} lines; these are ${num}` : "";
}
