interface Mark {
  atMs: number;
  bytes: number;
}

const WINDOW_MS = 5_000;

/** How fast bytes go, over the last seconds, so that an old pause is soon forgotten. */
export class UploadSpeed {
  #marks: Mark[] = [];

  /** `bytes` in all had gone at `atMs`. */
  mark(bytes: number, atMs: number): void {
    this.#marks.push({ bytes, atMs });
    while (this.#marks.length > 2 && atMs - (this.#marks[1]?.atMs ?? atMs) >= WINDOW_MS) {
      this.#marks.shift();
    }
  }

  /** Null while unknown. */
  get bytesPerSecond(): number | null {
    const first = this.#marks[0];
    const last = this.#marks.at(-1);
    if (!first || !last || last.atMs <= first.atMs) {
      return null;
    }
    return (1000 * (last.bytes - first.bytes)) / (last.atMs - first.atMs);
  }
}

/** Seconds until all is sent; null while unknown. */
export function remainingSeconds(
  sentBytes: number,
  totalBytes: number,
  bytesPerSecond: number | null,
): number | null {
  return bytesPerSecond ? (totalBytes - sentBytes) / bytesPerSecond : null;
}
