import type { ScannedFile } from "../../api/verdicts";
import classes from "./FileText.module.css";
import { reasonLabel } from "./reasons";

/** The text of a file with its line numbers, and a mark at the lines that a reason points at. */
export function FileText({ text, marks }: Pick<ScannedFile, "text" | "marks">) {
  const lines = text.replace(/\n$/, "").split("\n");
  return (
    <div className={classes.frame}>
      {marks.map((mark) => (
        <div key={`${mark.start_line} ${mark.reason} ${mark.note}`} className={classes.note}>
          Line {mark.start_line}: {reasonLabel(mark.reason)}
          {mark.note && `, ${mark.note}`}
        </div>
      ))}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region is reached by keys */}
      <section className={classes.scroll} tabIndex={0} aria-label="Text of the file">
        <pre className={classes.numbers} aria-hidden>
          {lines.map((_, index) => `${index + 1}\n`)}
        </pre>
        <pre className={classes.text}>{text}</pre>
      </section>
    </div>
  );
}
