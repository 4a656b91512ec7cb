import { place } from "../place";
import { BackOff } from "./backOff";
import { hearthFetch } from "./client";
import { type ServerEvent, serverEvents } from "./eventStream";
import { Problem, problemOf } from "./problem";
import { whileVisible } from "./whileVisible";

/** `reconnecting`: what is known may be old. `ended`: nothing more will come. */
export type FollowStatus = "connecting" | "live" | "reconnecting" | "ended";

interface Follower {
  path: string;
  /** Gets events in order, several at once when they come fast. */
  listen: (events: ServerEvent[]) => void;
  report: (status: FollowStatus, problem: Problem | null) => void;
  /** Whether the end of a stream is the end of the story, rather than a cut. */
  isOver: () => boolean;
  /** Told before the first event of each connection: where events have no ids, all come anew. */
  begin?: () => void;
}

// A long history comes in thousands of events: drawing after each would take seconds.
const GATHER_MS = 60;

/**
 * Keeps one subscription to the events of `path`, which it resumes after the last event it saw.
 * An EventSource can not do this: it gives up on a status, and starts anew without Last-Event-ID.
 * Returns the end of it.
 */
export function follow({ path, listen, report, isOver, begin }: Follower): () => void {
  const backOff = new BackOff();
  let connection: AbortController | null = null;
  let pause: number | undefined;
  let gathering: number | undefined;
  let gathered: ServerEvent[] = [];
  let lastId = "";
  let ended = false;

  function hand() {
    window.clearTimeout(gathering);
    gathering = undefined;
    const events = gathered;
    gathered = [];
    if (events.length > 0) {
      listen(events);
    }
  }

  function take(event: ServerEvent) {
    if (event.name === "error") {
      // A fault after the answer has begun.
      throw problemOf(500, JSON.parse(event.data));
    }
    backOff.reset();
    lastId = event.id || lastId;
    gathered.push(event);
    gathering ??= window.setTimeout(() => {
      hand();
      report("live", null);
    }, GATHER_MS);
  }

  async function read(signal: AbortSignal) {
    const headers: HeadersInit = lastId ? { "Last-Event-ID": lastId } : {};
    const response = await hearthFetch(new Request(place + path, { headers, signal }));
    if (!response.ok || !response.body) {
      throw problemOf(response.status, await response.json().catch(() => null));
    }
    begin?.();
    for await (const event of serverEvents(response.body)) {
      take(event);
    }
  }

  async function open() {
    close();
    if (ended) {
      return;
    }
    const mine = new AbortController();
    connection = mine;
    const reason: unknown = await read(mine.signal).catch((error: unknown) => error);
    if (mine.signal.aborted) {
      return;
    }
    hand();
    const problem = reason === undefined ? null : Problem.unreachable(reason);
    ended = problem ? !problem.isTemporary : isOver();
    if (ended) {
      report("ended", problem);
    } else {
      report("reconnecting", problem);
      pause = window.setTimeout(() => void open(), backOff.next());
    }
  }

  function close() {
    window.clearTimeout(pause);
    hand();
    connection?.abort();
    connection = null;
  }

  const stop = whileVisible(() => void open(), close);
  return () => {
    gathered = [];
    stop();
  };
}
