/** One server-sent event. `name` and `id` are "" where the server gave none. */
export interface ServerEvent {
  name: string;
  id: string;
  data: string;
}

/**
 * Each server-sent event, in order. Comments and other fields are passed over, and so are events
 * without data. An event that the end of the stream cuts off is dropped, as the HTML standard says.
 */
export async function* serverEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { name: "", id: "", data: [] as string[] };
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) {
        return;
      }
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [field, text] = fieldOf(line);
        if (line === "") {
          if (event.data.length > 0) {
            yield { ...event, data: event.data.join("\n") };
          }
          event = { name: "", id: "", data: [] };
        } else if (field === "data") {
          event.data.push(text);
        } else if (field === "event") {
          event.name = text;
        } else if (field === "id") {
          event.id = text;
        }
      }
    }
  } finally {
    await reader.cancel();
  }
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon === -1) {
    return [line, ""];
  }
  const text = line.slice(colon + 1);
  return [line.slice(0, colon), text.startsWith(" ") ? text.slice(1) : text];
}

/** The `data` of each server-sent event, in order. */
export async function* eventData(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  for await (const event of serverEvents(body)) {
    yield event.data;
  }
}
