import type { Command, PromptMessage, WantedCommand } from "../../api/toolbox";
import { PLACEHOLDERS } from "../../parts/prompt";

/** A message as it is typed; `id` tells messages apart while they come and go. */
export interface MessageDraft extends PromptMessage {
  id: number;
}

/** A command as it is typed. */
export interface CommandDraft {
  name: string;
  label: string;
  description: string;
  selection: Command["selection"];
  minLines: string;
  maxLines: string;
  messages: MessageDraft[];
  enabled: boolean;
  edition: number;
}

const NEW: CommandDraft = {
  name: "",
  label: "",
  description: "",
  selection: "needed",
  minLines: "1",
  maxLines: "300",
  messages: [
    { id: 0, role: "system", content: "" },
    { id: 1, role: "user", content: "\n\n```\n%CODE_SELECTION%\n```" },
  ],
  enabled: true,
  edition: 0,
};

/** Null: of a new one. */
export function draftOf(command: Command | null): CommandDraft {
  if (!command) {
    return NEW;
  }
  const { min_lines, max_lines, messages, origin: _, ...same } = command;
  return {
    ...same,
    minLines: String(min_lines || 1),
    maxLines: String(max_lines || 300),
    messages: messages.map((message, id) => ({ ...message, id })),
  };
}

/** What is asked of the API. A message of the system that is empty is left out. */
export function wantedOf(draft: CommandDraft): WantedCommand {
  const { label, description, selection, enabled, edition } = draft;
  const isNeeded = selection === "needed";
  return {
    label: label.trim(),
    description: description.trim(),
    selection,
    min_lines: isNeeded ? Number(draft.minLines) : 0,
    max_lines: isNeeded ? Number(draft.maxLines) : 0,
    messages: draft.messages
      .filter(({ role, content }) => role === "user" || content.trim())
      .map(({ role, content }) => ({ role, content })),
    enabled,
    edition,
  };
}

/** The same command, switched on or off. */
export const switched = (command: Command, enabled: boolean): WantedCommand => ({
  ...wantedOf(draftOf(command)),
  enabled,
});

export const withMessage = (draft: CommandDraft): CommandDraft => {
  const id = Math.max(0, ...draft.messages.map((message) => message.id)) + 1;
  return { ...draft, messages: [...draft.messages, { id, role: "user", content: "" }] };
};

export const nameFault = (name: string): string =>
  /^[a-z0-9-]{1,40}$/.test(name) ? "" : "1 to 40 of a-z, 0-9 and -";

export function linesFault(draft: CommandDraft): string {
  if (draft.selection !== "needed") {
    return "";
  }
  const [least, most] = [draft.minLines, draft.maxLines].map((typed) =>
    /^[1-9]\d{0,3}$/.test(typed.trim()) ? Number(typed) : 0,
  );
  return least && most && least <= most ? "" : "From 1 to 9999, the least first";
}

/** What is wrong with a message; "" when nothing is. */
export function messageFault({ role, content }: PromptMessage): string {
  if (role === "user" && !content.trim()) {
    return "Write what is asked";
  }
  const found: string[] = content.match(/%[A-Z][A-Z0-9_]*%/g) ?? [];
  const unknown = found.find((placeholder) => !(placeholder in PLACEHOLDERS));
  if (unknown) {
    return `${unknown} is no placeholder`;
  }
  const twice = found.find((placeholder, index) => found.indexOf(placeholder) !== index);
  return twice ? `${twice} is filled in once only: write it once` : "";
}

export const isComplete = (draft: CommandDraft): boolean =>
  !nameFault(draft.name) &&
  draft.label.trim() !== "" &&
  draft.description.trim() !== "" &&
  !linesFault(draft) &&
  draft.messages.at(-1)?.role === "user" &&
  draft.messages.every((message) => !messageFault(message));
