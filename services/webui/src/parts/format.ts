const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** Such as "13.1 MiB": three digits at most. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = value >= 100 || unit === 0 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${UNITS[unit]}`;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en");
const moments = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const recent = new Intl.DateTimeFormat("en", {
  month: "short",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
});
const HALF_YEAR_SECONDS = 183 * 86_400;
const date = new Intl.DateTimeFormat("en", { dateStyle: "medium" });

/** Such as "6.8M". */
export const parameters = (count: number) => compact.format(count);

/** Such as "32,768". */
export const integer = (count: number) => whole.format(count);

/** Such as "Nov 24, 2026". */
export const day = (unixSeconds: number) => date.format(unixSeconds * 1000);

/** Such as "Nov 24, 4:05 PM", with the year where it is needed. */
export function moment(unixSeconds: number, now = Date.now() / 1000): string {
  const isRecent = Math.abs(now - unixSeconds) < HALF_YEAR_SECONDS;
  return (isRecent ? recent : moments).format(unixSeconds * 1000);
}

/** A share of 0 to 1, such as "12 %", "0.3 %", "<0.1 %". */
export function percent(share: number): string {
  const value = 100 * share;
  if (value > 0 && value < 0.1) {
    return "<0.1 %";
  }
  return `${Number(value.toFixed(value >= 10 || Number.isInteger(value) ? 0 : 1))} %`;
}

/** A loss in nats per token, with digits enough to tell two apart. */
export const loss = (value: number) => value.toFixed(3);

/** With its sign, such as "+0.024" or "−0.100". */
export const signed = (value: number, digits = 3) =>
  `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(digits)}`;

/** A number as short as it can be said: 0.0003 as "3e-4", 2048 as "2,048". */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) {
    return value.toExponential().replace("e+", "e");
  }
  return new Intl.NumberFormat("en", { maximumSignificantDigits: size >= 1000 ? 15 : 4 }).format(
    value,
  );
}

/** "lr_decay_steps" as "Lr decay steps". */
export function inWords(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${integer(count)} ${count === 1 ? one : many}`;

/** A short time with two digits at least, such as "0.04 s" or "12.3 s". */
export const seconds = (value: number) => `${value.toFixed(value < 1 ? 2 : 1)} s`;

/** The two largest units, such as "5 h 12 min". */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor(total / 3_600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) {
    return "0 s";
  }
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}
