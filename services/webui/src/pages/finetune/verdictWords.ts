import type { MantineColor } from "@mantine/core";
import type { Evaluation } from "../../api/evaluations";
import { meaningOf } from "./interval";

type Verdict = NonNullable<Evaluation["verdict"]>;

interface Words {
  /** For a badge. */
  label: string;
  title: string;
  colour: MantineColor;
}

const VERDICTS: Record<Verdict, Words> = {
  better: { label: "better", title: "It is better than the base", colour: "teal" },
  no_difference: {
    label: "no difference",
    title: "No difference to the base was measured",
    colour: "gray",
  },
  worse: { label: "worse", title: "It is worse than the base", colour: "red" },
  too_little_data: {
    label: "too little data",
    title: "There is too little to measure it by",
    colour: "yellow",
  },
};

// A loss shows small progress long before a few hundred completions do.
const LOWER_LOSS: Words = {
  label: "lower loss",
  title: "Its completions are no better yet, but its loss is lower",
  colour: "blue",
};

/** What an evaluation says, or null while it says nothing. */
export function verdictWords({ verdict, loss_difference }: Evaluation): Words | null {
  if (verdict === "no_difference" && loss_difference) {
    return meaningOf(loss_difference, false) === "better" ? LOWER_LOSS : VERDICTS[verdict];
  }
  return verdict && VERDICTS[verdict];
}
