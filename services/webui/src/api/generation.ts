import { place } from "../place";
import { hearthFetch } from "./client";
import { eventData } from "./eventStream";
import { Problem, problemOf } from "./problem";

export interface CompletionRequest {
  model: string;
  prompt: string;
  suffix?: string;
  max_tokens: number;
  temperature: number;
  stop?: string[];
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  max_tokens: number;
  temperature: number;
}

/** What one event of the stream adds. Fields that it does not mention are null. */
export interface Piece {
  text: string;
  model: string | null;
  engine: string | null;
  finishReason: string | null;
  numTokens: number | null;
}

interface Chunk {
  model?: string;
  system_fingerprint?: string;
  choices?: { text?: string; delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { completion_tokens?: number } | null;
  error?: unknown;
}

const CUT_OFF = "The connection ended before the answer was complete. Try again.";

/**
 * Streams an answer of the OpenAI API. Rejects with a Problem when it is refused or breaks off,
 * and with the signal's AbortError when it is cancelled, which also ends it in the engine.
 */
async function* generate(path: string, body: object, signal: AbortSignal): AsyncGenerator<Piece> {
  const request = new Request(place + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  const response = await hearthFetch(request).catch((reason: unknown) => {
    throw signal.aborted ? reason : Problem.unreachable(reason);
  });
  if (!response.ok || !response.body) {
    throw problemOf(response.status, await response.json().catch(() => null));
  }
  try {
    for await (const data of eventData(response.body)) {
      if (data === "[DONE]") {
        return;
      }
      yield pieceOf(data);
    }
  } catch (reason) {
    throw signal.aborted || reason instanceof Problem ? reason : new Problem(CUT_OFF, 0);
  }
  throw new Problem(CUT_OFF, 0);
}

export function pieceOf(data: string): Piece {
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error) {
    throw problemOf(500, chunk);
  }
  const choice = chunk.choices?.[0];
  return {
    text: choice?.text ?? choice?.delta?.content ?? "",
    model: chunk.model ?? null,
    engine: chunk.system_fingerprint ?? null,
    finishReason: choice?.finish_reason ?? null,
    numTokens: chunk.usage?.completion_tokens ?? null,
  };
}

export const streamCompletion = (request: CompletionRequest, signal: AbortSignal) =>
  generate("/v1/completions", request, signal);

export const streamChat = (request: ChatRequest, signal: AbortSignal) =>
  generate("/v1/chat/completions", request, signal);
