import { Group, SegmentedControl, Text } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { scaleLinear, scaleLog } from "d3-scale";
import { type KeyboardEvent, type PointerEvent, useMemo, useState } from "react";
import type { RunMetrics } from "../../../api/runs";
import { Axes } from "./Axes";
import { curvesOf, lossSpan, nearest, type Point, thinned } from "./curve";
import classes from "./LossPlot.module.css";
import { Readout } from "./Readout";

const HEIGHT = 280;
const MARGIN = { top: 14, right: 14, bottom: 28, left: 46 };
// Two for each pixel of a wide plot.
const MOST_POINTS = 2_400;

interface LossPlotProps {
  metrics: RunMetrics[];
  /** That it will make, if it does not stop early. */
  numSteps: number;
  bestStep: number | null;
  isLoading: boolean;
}

/**
 * Loss of train and test by step. The arithmetic of the axes is d3-scale's; the drawing is ours,
 * so that it follows the page's colours and can be walked by keys.
 */
export function LossPlot({ metrics, numSteps, bestStep, isLoading }: LossPlotProps) {
  const { ref, width } = useElementSize();
  const [kind, setKind] = useState<"linear" | "log">("linear");
  const [pointed, setPointed] = useState<number | null>(null);
  const curves = useMemo(() => curvesOf(metrics), [metrics]);
  const drawn = useMemo(
    () => ({ train: thinned(curves.train, MOST_POINTS), test: thinned(curves.test, MOST_POINTS) }),
    [curves],
  );
  const isLog = kind === "log";
  const span = useMemo(() => lossSpan([curves.train, curves.test], isLog), [curves, isLog]);
  const last = curves.train.at(-1)?.step ?? 0;
  const x = scaleLinear([0, Math.max(numSteps, last, 1)], [MARGIN.left, width - MARGIN.right]);
  const y = (isLog ? scaleLog : scaleLinear)(span, [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const line = (points: Point[]) =>
    points
      .filter(({ loss }) => !isLog || loss > 0)
      .map(
        ({ step, loss }, index) =>
          `${index === 0 ? "M" : "L"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`,
      )
      .join("");

  const step = pointed === null ? last : (nearest(curves.train, pointed)?.step ?? last);
  const best = bestStep === null ? undefined : curves.test.find((point) => point.step === bestStep);

  function point(event: PointerEvent<HTMLDivElement>) {
    const left = event.currentTarget.getBoundingClientRect().left;
    setPointed(x.invert(event.clientX - left));
  }

  function walk(event: KeyboardEvent) {
    const place = curves.train.findIndex((each) => each.step === step);
    const far = Math.max(1, Math.round(curves.train.length / 20));
    const moves: Record<string, number> = {
      ArrowLeft: place - 1,
      ArrowRight: place + 1,
      PageUp: place + far,
      PageDown: place - far,
      Home: 0,
      End: curves.train.length - 1,
    };
    const next = moves[event.key];
    if (next !== undefined) {
      event.preventDefault();
      const bounded = Math.min(Math.max(next, 0), curves.train.length - 1);
      setPointed(curves.train[bounded]?.step ?? null);
    } else if (event.key === "Escape") {
      setPointed(null);
    }
  }

  return (
    <div>
      <Group justify="space-between" gap="sm" mb="xs">
        <Readout metrics={metrics} step={step} best={best} isPointed={pointed !== null} />
        <SegmentedControl
          size="xs"
          aria-label="Scale of the loss"
          data={[
            { value: "linear", label: "Linear" },
            { value: "log", label: "Log" },
          ]}
          value={kind}
          onChange={(value) => setKind(value as typeof kind)}
        />
      </Group>
      <div ref={ref} className={classes.frame} style={{ height: HEIGHT }}>
        {curves.train.length === 0 ? (
          <Text c="dimmed" className={classes.empty}>
            {isLoading ? "" : "The curves begin with the first step."}
          </Text>
        ) : (
          width > 0 && (
            <div
              className={classes.plot}
              role="slider"
              tabIndex={0}
              aria-label="Loss by step; the arrow keys go from step to step"
              aria-valuemin={curves.train[0]?.step ?? 0}
              aria-valuemax={last}
              aria-valuenow={step}
              aria-valuetext={`Step ${step}`}
              onPointerMove={point}
              onPointerDown={point}
              onPointerLeave={() => setPointed(null)}
              onKeyDown={walk}
              onBlur={() => setPointed(null)}
            >
              <svg width={width} height={HEIGHT} aria-hidden>
                <Axes x={x} y={y} isLog={isLog} width={width} height={HEIGHT} margin={MARGIN} />
                {best && (
                  <line
                    className={classes.best}
                    x1={x(best.step)}
                    x2={x(best.step)}
                    y1={MARGIN.top}
                    y2={HEIGHT - MARGIN.bottom}
                  />
                )}
                <path className={classes.train} d={line(drawn.train)} />
                <path className={classes.test} d={line(drawn.test)} />
                {best && (!isLog || best.loss > 0) && (
                  <circle className={classes.bestDot} cx={x(best.step)} cy={y(best.loss)} r={5} />
                )}
                {pointed !== null && (
                  <line
                    className={classes.cursor}
                    x1={x(step)}
                    x2={x(step)}
                    y1={MARGIN.top}
                    y2={HEIGHT - MARGIN.bottom}
                  />
                )}
              </svg>
            </div>
          )
        )}
      </div>
    </div>
  );
}
