import { describe, expect, it } from "vitest";
import { eventData, serverEvents } from "./eventStream";

const bytes = new TextEncoder();

function stream(...pieces: (string | Uint8Array<ArrayBuffer>)[]) {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const piece of pieces) {
        controller.enqueue(typeof piece === "string" ? bytes.encode(piece) : piece);
      }
      controller.close();
    },
  });
}

async function all(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string[]> {
  const found: string[] = [];
  for await (const data of eventData(body)) {
    found.push(data);
  }
  return found;
}

describe("serverEvents", () => {
  it("gives name and id of each event, and passes over one without data", async () => {
    const found = [];
    const text = "event: run\nid: 7\ndata: one\n\nevent: run\nid: 8\n\ndata: two\n\n";
    for await (const event of serverEvents(stream(text))) {
      found.push(event);
    }
    expect(found).toEqual([
      { name: "run", id: "7", data: "one" },
      { name: "", id: "", data: "two" },
    ]);
  });
});

describe("eventData", () => {
  it("gives the data of each event, and passes over comments and other fields", async () => {
    const text = ": ping\n\nevent: cluster\nid: 7\ndata: one\n\ndata:two\n\n";
    expect(await all(stream(text))).toEqual(["one", "two"]);
  });

  it("joins the data lines of one event", async () => {
    expect(await all(stream("data: a\ndata: b\n\n"))).toEqual(["a\nb"]);
  });

  it.each(["\n", "\r\n", "\r"])("takes %j as the end of a line", async (end) => {
    expect(await all(stream(["data: x", "", "data: y", "", ""].join(end), "\n"))).toEqual([
      "x",
      "y",
    ]);
  });

  it("gives the same however the bytes are cut", async () => {
    const whole = bytes.encode('data: {"text": "größer ≥ 🔥"}\r\n\r\ndata: [DONE]\r\n\r\n');
    for (let cut = 1; cut < whole.length; cut += 1) {
      expect(await all(stream(whole.slice(0, cut), whole.slice(cut)))).toEqual([
        '{"text": "größer ≥ 🔥"}',
        "[DONE]",
      ]);
    }
  });

  it("drops an event that the end cuts off", async () => {
    expect(await all(stream("data: whole\n\ndata: half"))).toEqual(["whole"]);
  });

  it("cancels the body when the reader stops early", async () => {
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(bytes.encode("data: more\n\n")),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const data of eventData(endless)) {
      expect(data).toBe("more");
      break;
    }
    expect(cancelled).toBe(true);
  });
});
