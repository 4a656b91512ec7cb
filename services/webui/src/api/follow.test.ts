import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ServerEvent } from "./eventStream";
import { follow } from "./follow";

const event = (id: string, data = "{}", name = "run") =>
  `event: ${name}\nid: ${id}\ndata: ${data}\n\n`;

let asked: (string | null)[];
let answers: (() => Response)[];

/** Stands for the browser and for the server, which gives the answers in their order. */
beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  answers = [];
  const deaf = { addEventListener: () => undefined, removeEventListener: () => undefined };
  vi.stubGlobal("window", {
    ...deaf,
    setTimeout: (...given: Parameters<typeof setTimeout>) => setTimeout(...given),
    clearTimeout: (timer: number) => clearTimeout(timer),
  });
  vi.stubGlobal("document", { ...deaf, hidden: false });
  vi.stubGlobal(
    "Request",
    class extends Request {
      constructor(path: string, init?: RequestInit) {
        super(`http://hearth${path}`, init);
      }
    },
  );
  vi.stubGlobal("fetch", async (request: Request) => {
    asked.push(request.headers.get("Last-Event-ID"));
    const answer = answers.shift();
    if (!answer) {
      throw new TypeError("Failed to fetch");
    }
    return answer();
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function watch(isOver: () => boolean = () => false) {
  const heard: ServerEvent[] = [];
  const reports: string[] = [];
  const stop = follow({
    path: "/api/v1/runs/r/events",
    listen: (events) => heard.push(...events),
    report: (status, problem) => reports.push(problem ? `${status}: ${problem.status}` : status),
    isOver,
  });
  return { heard, reports, stop, ids: () => heard.map((each) => each.id) };
}

describe("follow", () => {
  it("goes on after the last event it saw, when the stream is cut", async () => {
    answers.push(
      () => new Response(event("1") + event("2")),
      () => new Response(event("3")),
    );
    const { ids, stop } = watch();
    await vi.advanceTimersByTimeAsync(600);
    expect(asked).toEqual([null, "2"]);
    expect(ids()).toEqual(["1", "2", "3"]);
    stop();
  });

  it("ends with a stream that ends when the story is over", async () => {
    answers.push(() => new Response(event("1")));
    const { reports } = watch(() => true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
    expect(reports.at(-1)).toBe("ended");
  });

  it("tries again while the server is away, ever more slowly", async () => {
    const { reports, stop } = watch();
    await vi.advanceTimersByTimeAsync(3_600);
    expect(asked).toHaveLength(4);
    expect(new Set(reports)).toEqual(new Set(["reconnecting: 0"]));
    stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(4);
  });

  it("gives up on what there is not, with the reason", async () => {
    answers.push(() =>
      Response.json({ error: { message: "There is no run r." } }, { status: 404 }),
    );
    const { reports } = watch();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
    expect(reports).toEqual(["ended: 404"]);
  });

  it("says when a connection begins, and not when none was had", async () => {
    const story: string[] = [];
    answers.push(
      () => new Response(event("1")),
      () => Response.json({}, { status: 503 }),
      () => new Response(event("2")),
    );
    const stop = follow({
      path: "/api/v1/events",
      begin: () => story.push("begin"),
      listen: (events) => story.push(...events.map((each) => each.id)),
      report: () => undefined,
      isOver: () => false,
    });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(story).toEqual(["begin", "1", "begin", "2"]);
    stop();
  });

  it("tries again after an error event, and hands nobody the error", async () => {
    answers.push(() => new Response(event("1") + event("", '{"error":{"message":"x"}}', "error")));
    const { ids, reports, stop } = watch();
    await vi.advanceTimersByTimeAsync(100);
    expect(ids()).toEqual(["1"]);
    expect(reports.at(-1)).toBe("reconnecting: 500");
    stop();
  });
});
