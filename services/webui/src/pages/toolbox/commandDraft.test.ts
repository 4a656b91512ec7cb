import { expect, it } from "vitest";
import type { Command } from "../../api/toolbox";
import {
  draftOf,
  isComplete,
  linesFault,
  messageFault,
  nameFault,
  switched,
  wantedOf,
  withMessage,
} from "./commandDraft";

const command: Command = {
  name: "explain",
  label: "Explain",
  description: "Say what it does",
  selection: "needed",
  min_lines: 1,
  max_lines: 50,
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "%CODE_SELECTION%" },
  ],
  origin: "changed",
  enabled: true,
  edition: 3,
};
const { name: _name, origin: _origin, ...asked } = command;

it("asks for what it was made of", () => {
  expect(wantedOf(draftOf(command))).toEqual(asked);
  expect(switched(command, false)).toEqual({ ...asked, enabled: false });
  expect(isComplete(draftOf(command))).toBe(true);
});

it("asks for no lines where no selection is needed", () => {
  const wanted = wantedOf({ ...draftOf(command), selection: "optional", minLines: "x" });
  expect([wanted.min_lines, wanted.max_lines]).toEqual([0, 0]);
});

it("leaves an empty message of the system out, and wants the rest of a new command", () => {
  const empty = draftOf(null);
  expect(isComplete(empty)).toBe(false);
  const draft = { ...empty, name: "rhyme", label: "Rhyme", description: "In verse" };
  expect(isComplete(draft)).toBe(true);
  expect(wantedOf(draft).messages.map(({ role }) => role)).toEqual(["user"]);
  expect(isComplete(withMessage(draft))).toBe(false);
});

it.each(["", "Big", "a b", "a/b", "x".repeat(41)])("does not take the name %j", (name) =>
  expect(nameFault(name)).not.toBe(""),
);

it.each([
  ["1", "50", true],
  ["50", "1", false],
  ["0", "5", false],
  ["", "5", false],
  ["1.5", "5", false],
])("lines %j to %j: %j", (minLines, maxLines, isRight) =>
  expect(linesFault({ ...draftOf(command), minLines, maxLines }) === "").toBe(isRight),
);

it.each([
  ["x", ""],
  [" ", "Write what is asked"],
  ["%LANGUAGE%", "%LANGUAGE% is no placeholder"],
  ["%ARGS% %ARGS%", "%ARGS% is filled in once only: write it once"],
  ["100% of %ARGS%", ""],
])("says of %j: %j", (content, fault) =>
  expect(messageFault({ role: "user", content })).toBe(fault),
);
