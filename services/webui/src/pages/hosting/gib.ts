const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** Bytes as a person types them in GiB; "" for none. */
export const gibText = (count: number): string =>
  count > 0 ? String(Number((count / GIB).toFixed(2))) : "";

/** As it is advised: rounded up, so that nothing is missing. */
export const roomyGibText = (count: number): string =>
  count > 0 ? String(Math.ceil((100 * count) / GIB) / 100) : "";

/** Bytes of what was typed, in whole MiB. What stands for `known` as it is shown stays `known`. */
export function gibBytes(text: string, known = 0): number {
  if (text.trim() === gibText(known)) {
    return known;
  }
  return Math.round((Number(text) * GIB) / MIB) * MIB;
}
