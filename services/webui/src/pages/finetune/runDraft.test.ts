import { expect, it } from "vitest";
import type { RunParameter } from "../../api/runs";
import { casesFault, isSound, nameFault, type RunDraft, specOf } from "./runDraft";

const rank = { name: "lora_r", type: "integer", minimum: 4, maximum: 128 } as RunParameter;
const draft: RunDraft = {
  name: "first",
  datasetId: "d",
  model: "m",
  publishPolicy: "if_better",
  numCases: "",
  texts: { lora_r: "8" },
};

it.each(["", "my-run_1.0"])("takes the name %j", (name) => expect(nameFault(name)).toBe(""));
it.each(["a b", "auto", "é", "x".repeat(65)])("refuses the name %j", (name) =>
  expect(nameFault(name)).not.toBe(""),
);

it.each(["", "300", "10000"])("takes %j cases", (text) => expect(casesFault(text)).toBe(""));
it.each(["0", "-1", "1.5", "many", "10001"])("refuses %j cases", (text) =>
  expect(casesFault(text)).not.toBe(""),
);

it("is sound when nothing is wrong", () => {
  expect(isSound(draft, [rank])).toBe(true);
  expect(isSound({ ...draft, texts: { lora_r: "1" } }, [rank])).toBe(false);
});

it("asks with what is set only", () => {
  expect(specOf("p", draft, [rank])).toEqual({
    project_id: "p",
    name: "",
    dataset_id: "d",
    model: "m",
    parameters: { lora_r: 8 },
    publish_policy: "if_better",
    make_room: false,
    max_evaluation_cases: 0,
  });
});
