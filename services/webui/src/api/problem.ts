/**
 * A failed request as a sentence for a person. `status` is the HTTP status, 0 when no answer came;
 * `param` the field that it is about, "" for none.
 */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string;

  constructor(message: string, status: number, code = "", param = "") {
    super(message);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.param = param;
  }

  static unreachable(reason: unknown): Problem {
    if (reason instanceof Problem) {
      return reason;
    }
    return new Problem(
      "Hearth does not answer. It may be starting again, or this device is offline: try again in a few seconds.",
      0,
    );
  }

  /** Whether the same request may succeed a little later. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Reads the body of an error answer, or of an error event within a stream. */
export function problemOf(status: number, body: unknown): Problem {
  const outer = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const inner =
    typeof outer.error === "object" && outer.error !== null
      ? (outer.error as Record<string, unknown>)
      : outer;
  const message =
    text(inner.message) ||
    text(inner.human_readable_message) ||
    text(outer.human_readable_message) ||
    text(outer.detail) ||
    `Hearth answered with status ${status} and gave no reason.`;
  return new Problem(message, status, text(inner.code), text(inner.param));
}
