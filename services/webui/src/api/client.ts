import { QueryClient } from "@tanstack/react-query";
import createClient from "openapi-fetch";
import { place } from "../place";
import { Problem, problemOf } from "./problem";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Session = Schemas["SessionView"];

export const sessionKey = ["session"] as const;

/** Holds what the server said last. Queries are refreshed by events, not by time. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY,
      retry: (failures, error) =>
        failures < 2 && (!(error instanceof Problem) || error.isTemporary),
    },
  },
});

const SAFE_METHODS = new Set(["GET", "HEAD"]);

/** Every request goes through here: it proves that the page sent it, and notices an ended session. */
export async function hearthFetch(request: Request): Promise<Response> {
  const session = queryClient.getQueryData<Session | null>(sessionKey);
  if (session && !SAFE_METHODS.has(request.method)) {
    request.headers.set("X-CSRF-Token", session.csrf_token);
  }
  const response = await fetch(request);
  if (response.status === 401) {
    queryClient.setQueryData(sessionKey, null);
  }
  return response;
}

export const api = createClient<paths>({ baseUrl: place, fetch: hearthFetch });

/** What the server answered. Rejects with a Problem that says what went wrong. */
export async function answer<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call.catch((reason: unknown) => {
    throw Problem.unreachable(reason);
  });
  if (!response.ok) {
    throw problemOf(response.status, error);
  }
  return data as T;
}
