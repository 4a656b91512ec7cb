import { expect, it } from "vitest";
import type { Command } from "../api/toolbox";
import { filledIn, linesOf, selectionFault, usesArgs } from "./prompt";

const values = { code: "a = 1", file: "a.py", line: 7, args: "please" };

it("fills in what a plugin would", () =>
  expect(filledIn("%CURRENT_FILE%:%CURSOR_LINE% %ARGS%\n%CODE_SELECTION%", values)).toBe(
    "a.py:7 please\na = 1",
  ));

it("leaves code alone that looks like a prompt", () =>
  expect(filledIn("%CODE_SELECTION% $& %OTHER%", { ...values, code: "%ARGS% $1" })).toBe(
    "%ARGS% $1 $& %OTHER%",
  ));

const command: Command = {
  name: "explain",
  label: "Explain",
  description: "",
  selection: "needed",
  min_lines: 2,
  max_lines: 3,
  messages: [{ role: "user", content: "%CODE_SELECTION%" }],
  origin: "default",
  enabled: true,
  edition: 0,
};

it.each([
  ["", "It needs code"],
  [" \n ", "It needs code"],
  ["a", "It takes 2 to 3 lines; these are 1"],
  ["a\nb", ""],
  ["a\nb\nc\n", ""],
  ["a\nb\nc\nd", "It takes 2 to 3 lines; these are 4"],
])("says of %j: %j", (code, fault) => {
  expect(selectionFault(command, code)).toBe(fault);
  expect(selectionFault({ ...command, selection: "optional" }, code)).toBe("");
});

it("counts lines as an editor does", () =>
  expect(["", "a", "a\n", "a\n\n", "a\nb"].map(linesOf)).toEqual([0, 1, 1, 2, 2]));

it("knows which commands take words", () => {
  const messages = [{ role: "user" as const, content: "Do %ARGS%" }];
  expect(usesArgs(command)).toBe(false);
  expect(usesArgs({ ...command, messages })).toBe(true);
});
