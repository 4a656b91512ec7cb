import { afterEach, describe, expect, it, vi } from "vitest";
import { type Piece, pieceOf, streamCompletion } from "./generation";
import { Problem } from "./problem";

const REQUEST = { model: "m", prompt: "a", max_tokens: 4, temperature: 0 };
const chunk = (text: string) => `data: ${JSON.stringify({ choices: [{ text }] })}\n\n`;

afterEach(() => vi.unstubAllGlobals());

/** Stands for the browser, where a request may name a path only, and for the server's answer. */
function answerWith(answer: (request: Request) => Promise<Response>) {
  vi.stubGlobal(
    "Request",
    class extends Request {
      constructor(path: string, init?: RequestInit) {
        super(`http://hearth${path}`, init);
      }
    },
  );
  vi.stubGlobal("fetch", answer);
}

async function read(signal = new AbortController().signal): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of streamCompletion(REQUEST, signal)) {
    pieces.push(piece);
  }
  return pieces;
}

describe("streamCompletion", () => {
  it("ends at [DONE]", async () => {
    answerWith(async () => new Response(`${chunk("x")}${chunk("y")}data: [DONE]\n\n`));
    expect((await read()).map((piece) => piece.text)).toEqual(["x", "y"]);
  });

  it("asks for the usage", async () => {
    let sent: unknown;
    answerWith(async (request) => {
      sent = await request.json();
      return new Response("data: [DONE]\n\n");
    });
    await read();
    expect(sent).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  it("says when the stream ended without [DONE]", async () => {
    answerWith(async () => new Response(chunk("x")));
    await expect(read()).rejects.toThrow("before the answer was complete");
  });

  it("hands on what the server says in an error event", async () => {
    answerWith(async () => new Response('data: {"error": {"message": "The engine ended."}}\n\n'));
    await expect(read()).rejects.toThrow("The engine ended.");
  });

  it("hands on why the server refused", async () => {
    const body = { error: { message: "The prompt is too long.", code: "context_length_exceeded" } };
    answerWith(async () => Response.json(body, { status: 400 }));
    const reason = await read().catch((error: unknown) => error);
    expect(reason).toBeInstanceOf(Problem);
    expect(reason).toMatchObject({
      message: "The prompt is too long.",
      status: 400,
      code: "context_length_exceeded",
    });
  });

  it("says that the server does not answer", async () => {
    answerWith(() => Promise.reject(new TypeError("Failed to fetch")));
    await expect(read()).rejects.toThrow("Hearth does not answer");
  });

  it("rejects with the abort when it is cancelled, not with a problem", async () => {
    const controller = new AbortController();
    answerWith((request) => {
      const aborted = new Promise<Response>((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
      controller.abort();
      return aborted;
    });
    const reason = await read(controller.signal).catch((error: unknown) => error);
    expect(reason).toMatchObject({ name: "AbortError" });
  });
});

describe("pieceOf", () => {
  it("reads a chat chunk", () => {
    const data = '{"model": "m", "choices": [{"delta": {"content": "hi"}, "finish_reason": null}]}';
    expect(pieceOf(data)).toEqual({
      text: "hi",
      model: "m",
      engine: null,
      finishReason: null,
      numTokens: null,
    });
  });

  it("reads the usage chunk, which has no choices", () => {
    expect(pieceOf('{"choices": [], "usage": {"completion_tokens": 9}}').numTokens).toBe(9);
  });
});
