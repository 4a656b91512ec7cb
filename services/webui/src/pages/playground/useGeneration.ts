import { useCallback, useEffect, useRef, useState } from "react";
import type { Piece } from "../../api/generation";
import type { OfferedName } from "../../api/queries";

/** One answer as it grows. Seconds count from the request; null until known. */
export interface Generation {
  status: "running" | "done" | "cancelled" | "failed";
  text: string;
  problem: Error | null;
  /** The model that was asked, if another server has it. */
  elsewhere: OfferedName | null;
  model: string | null;
  engine: string | null;
  finishReason: string | null;
  numTokens: number | null;
  firstTextSeconds: number | null;
  seconds: number | null;
}

export const STARTED: Generation = {
  status: "running",
  text: "",
  problem: null,
  elsewhere: null,
  model: null,
  engine: null,
  finishReason: null,
  numTokens: null,
  firstTextSeconds: null,
  seconds: null,
};

export type Stream = (signal: AbortSignal) => AsyncGenerator<Piece>;

/** Tokens per second after the first; null where there is nothing to measure. */
export function tokensPerSecond(generation: Generation): number | null {
  const { numTokens, firstTextSeconds, seconds } = generation;
  if (numTokens === null || numTokens < 2 || firstTextSeconds === null || seconds === null) {
    return null;
  }
  return seconds > firstTextSeconds ? (numTokens - 1) / (seconds - firstTextSeconds) : null;
}

export function extended(before: Generation, piece: Piece, seconds: number): Generation {
  return {
    ...before,
    text: before.text + piece.text,
    model: piece.model ?? before.model,
    engine: piece.engine ?? before.engine,
    finishReason: piece.finishReason ?? before.finishReason,
    numTokens: piece.numTokens ?? before.numTokens,
    firstTextSeconds: before.firstTextSeconds ?? (piece.text ? seconds : null),
    // Usage comes after the last text and must not lengthen the time that it is divided by.
    seconds: piece.text ? seconds : before.seconds,
  };
}

/** Runs one stream at a time; leaving the page cancels it. */
export function useGeneration() {
  const [generation, setGeneration] = useState<Generation | null>(null);
  const running = useRef<AbortController | null>(null);

  const cancel = useCallback(() => running.current?.abort(), []);
  useEffect(() => cancel, [cancel]);

  const start = useCallback(async (stream: Stream, elsewhere: OfferedName | null) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    const startedAt = performance.now();
    let current: Generation = { ...STARTED, elsewhere };
    const show = (next: Generation) => {
      current = next;
      if (running.current === controller) {
        setGeneration(next);
      }
    };
    show(current);
    try {
      for await (const piece of stream(controller.signal)) {
        show(extended(current, piece, (performance.now() - startedAt) / 1000));
      }
      show({ ...current, status: "done" });
    } catch (reason) {
      const problem = reason instanceof Error ? reason : new Error(String(reason));
      show(
        controller.signal.aborted
          ? { ...current, status: "cancelled" }
          : { ...current, status: "failed", problem },
      );
    }
    return current;
  }, []);

  const clear = useCallback(() => {
    running.current?.abort();
    running.current = null;
    setGeneration(null);
  }, []);

  return { generation, start, cancel, clear };
}
