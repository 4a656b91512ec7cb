import { Text } from "@mantine/core";
import classes from "./CaseView.module.css";
import { partsOf } from "./difference";

interface CaseAnswerProps {
  who: string;
  /** Beside the name, such as "84 % alike". */
  about: string;
  said: string;
  truth: string;
}

/** What one model said in a gap, with what of it is right. */
export function CaseAnswer({ who, about, said, truth }: CaseAnswerProps) {
  return (
    <section className={classes.answer} aria-label={who}>
      <Text size="xs" c="dimmed" mb={4}>
        {who}, {about}
      </Text>
      {said === "" ? (
        <Text size="xs" c="dimmed">
          (nothing)
        </Text>
      ) : (
        <pre className={classes.middle}>
          {partsOf(said, truth).map(({ isRight, text }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the parts of an answer never change
            <mark key={index} className={isRight ? classes.right : classes.wrong}>
              {text}
            </mark>
          ))}
        </pre>
      )}
    </section>
  );
}
