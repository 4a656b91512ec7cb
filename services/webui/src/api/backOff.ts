const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** How long to wait before the next try: longer after each failure, short again after a success. */
export class BackOff {
  #pauseMs = FIRST_PAUSE_MS;

  /** Milliseconds. */
  next(): number {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    return pauseMs;
  }

  reset(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
  }
}
