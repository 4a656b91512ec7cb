import { Text } from "@mantine/core";
import type { RunMetrics } from "../../../api/runs";
import { integer, loss, short } from "../../../parts/format";
import type { Point } from "./curve";
import classes from "./LossPlot.module.css";

interface ReadoutProps {
  metrics: RunMetrics[];
  step: number;
  best: Point | undefined;
  isPointed: boolean;
}

/** The legend, with the values at a step: the one pointed at, else the last. */
export function Readout({ metrics, step, best, isPointed }: ReadoutProps) {
  const at = metrics.find((point) => point.step === step);
  // A test loss is not measured at every step.
  const test = metrics.findLast(
    (point) => point.step <= step && typeof point.test_loss === "number",
  );
  return (
    <div className={classes.readout}>
      <Text span size="sm" fw={600} miw={86}>
        {at ? `Step ${integer(step)}` : "No step yet"}
      </Text>
      <Text span size="sm">
        <i className={`${classes.swatch} ${classes.trainSwatch}`} aria-hidden />
        train {at ? loss(at.train_loss) : "–"}
      </Text>
      <Text span size="sm">
        <i className={`${classes.swatch} ${classes.testSwatch}`} aria-hidden />
        test {typeof test?.test_loss === "number" ? loss(test.test_loss) : "–"}
      </Text>
      {isPointed && at ? (
        <Text span size="sm" c="dimmed">
          learning rate {short(Number(at.learning_rate.toPrecision(3)))}
        </Text>
      ) : (
        best && (
          <Text span size="sm">
            <i className={`${classes.swatch} ${classes.bestSwatch}`} aria-hidden />
            best {loss(best.loss)} at step {integer(best.step)}
          </Text>
        )
      )}
    </div>
  );
}
