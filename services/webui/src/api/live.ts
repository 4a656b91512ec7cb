import type { Query } from "@tanstack/react-query";
import { createContext, useEffect, useState } from "react";
import { place } from "../place";
import { BackOff } from "./backOff";
import { queryClient } from "./client";
import { type ClusterState, clusterQuery, sessionQuery } from "./queries";
import { whileVisible } from "./whileVisible";

export type LiveStatus = "connecting" | "live" | "reconnecting";

/** Given by the shell: whether what the cache says is what the server says now. */
export const LiveContext = createContext<LiveStatus>("connecting");

/**
 * Keeps one subscription to the cluster's events and puts each state into the query cache.
 * Used once, by the shell.
 */
export function useLiveCluster(): LiveStatus {
  const [status, setStatus] = useState<LiveStatus>("connecting");
  useEffect(() => subscribe(setStatus), []);
  return status;
}

const isNoClusterState = (query: Query) => query.queryKey[0] !== clusterQuery.queryKey[0];

function subscribe(report: (status: LiveStatus) => void): () => void {
  const backOff = new BackOff();
  let source: EventSource | null = null;
  let timer: number | undefined;
  let wasCut = false;

  function open() {
    close();
    source = new EventSource(`${place}/api/v1/events`);
    source.addEventListener("cluster", (event: MessageEvent<string>) => {
      backOff.reset();
      report("live");
      queryClient.setQueryData(clusterQuery.queryKey, JSON.parse(event.data) as ClusterState);
      if (wasCut) {
        // What else is shown may have changed meanwhile, or could not be fetched.
        wasCut = false;
        void queryClient.invalidateQueries({ predicate: isNoClusterState });
      }
    });
    source.onerror = () => {
      wasCut = true;
      report("reconnecting");
      close();
      timer = window.setTimeout(open, backOff.next());
      // An EventSource does not tell why it failed: this does when the session has ended.
      void queryClient
        .fetchQuery({ ...sessionQuery, retry: false, staleTime: 0 })
        .catch(() => null);
    };
  }

  function close() {
    window.clearTimeout(timer);
    source?.close();
    source = null;
  }

  return whileVisible(open, close);
}
