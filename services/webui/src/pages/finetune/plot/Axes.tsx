import type { ScaleContinuousNumeric } from "d3-scale";
import { short } from "../../../parts/format";
import classes from "./LossPlot.module.css";

type Scale = ScaleContinuousNumeric<number, number>;

interface AxesProps {
  x: Scale;
  y: Scale;
  isLog: boolean;
  width: number;
  height: number;
  margin: { top: number; right: number; bottom: number; left: number };
}

const PX_A_STEP_TICK = 90;
const MOST_LOSS_TICKS = 6;

/** A log scale gives every digit of every decade: this many of them can be read. */
function lossTicks(y: Scale, isLog: boolean): number[] {
  const ticks = y.ticks(MOST_LOSS_TICKS);
  if (!isLog || ticks.length <= MOST_LOSS_TICKS + 2) {
    return ticks;
  }
  const every = Math.ceil(ticks.length / MOST_LOSS_TICKS);
  return ticks.filter((_, index) => index % every === 0);
}

export function Axes({ x, y, isLog, width, height, margin }: AxesProps) {
  const steps = x.ticks(Math.max(2, Math.floor(width / PX_A_STEP_TICK))).filter(Number.isInteger);
  return (
    <g className={classes.axes} aria-hidden>
      {lossTicks(y, isLog).map((loss) => (
        <g key={loss}>
          <line x1={margin.left} x2={width - margin.right} y1={y(loss)} y2={y(loss)} />
          <text x={margin.left - 8} y={y(loss)} dy="0.32em" textAnchor="end">
            {short(loss)}
          </text>
        </g>
      ))}
      {steps.map((step, index) => (
        <text
          key={step}
          x={x(step)}
          y={height - margin.bottom + 18}
          textAnchor={index === steps.length - 1 && x(step) > width - 40 ? "end" : "middle"}
        >
          {short(step)}
        </text>
      ))}
    </g>
  );
}
