import { queryOptions, useMutation } from "@tanstack/react-query";
import { place } from "../place";
import {
  answer,
  api,
  hearthFetch,
  queryClient,
  type Schemas,
  type Session,
  sessionKey,
} from "./client";
import { Problem, problemOf } from "./problem";

export type ClusterState = Schemas["ClusterState"];
export type Deployment = ClusterState["deployments"][number];
export type Replica = Deployment["replicas"][number];
export type Device = ClusterState["devices"][number];
export type Model = ClusterState["models"][number];
export type Process = ClusterState["processes"][number];
export type Token = Schemas["TokenView"];
export type NewToken = Schemas["NewToken"];

/** The signed-in user, or null. */
export const sessionQuery = queryOptions({
  queryKey: sessionKey,
  queryFn: async (): Promise<Session | null> => {
    try {
      return await answer(api.GET("/api/v1/session"));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        return null;
      }
      throw error;
    }
  },
});

/** Kept new by the events that `useLiveCluster` receives. */
export const clusterQuery = queryOptions({
  queryKey: ["cluster"],
  queryFn: () => answer(api.GET("/api/v1/cluster")),
});

/** Names that a request may give as its model: bases, `MODEL:auto` and `MODEL:ADAPTER`. */
export const modelNamesQuery = (capsVersion: number) =>
  queryOptions({
    queryKey: ["model-names", capsVersion],
    queryFn: async (): Promise<string[]> => {
      const response = await hearthFetch(new Request(`${place}/v1/models`));
      const body = (await response.json().catch(() => null)) as { data: { id: string }[] } | null;
      if (!response.ok || !body) {
        throw problemOf(response.status, body);
      }
      return body.data.map((model) => model.id);
    },
    placeholderData: (names: string[] | undefined) => names,
  });

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: () => answer(api.GET("/api/v1/tokens")),
  // No event tells of a token that was made in a terminal.
  staleTime: 0,
});

const refreshTokens = () => queryClient.invalidateQueries({ queryKey: tokensQuery.queryKey });

export const useCreateToken = () =>
  useMutation({
    mutationFn: (body: NewToken) => answer(api.POST("/api/v1/tokens", { body })),
    onSuccess: refreshTokens,
  });

export const useRevokeToken = () =>
  useMutation({
    mutationFn: (tokenId: string) =>
      answer(api.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: tokenId } } })),
    onSettled: refreshTokens,
  });

export const useSignIn = () =>
  useMutation({
    mutationFn: (link: string) => answer(api.POST("/api/v1/session", { body: { link } })),
    onSuccess: (session) => queryClient.setQueryData(sessionKey, session),
  });

export const useSignOut = () =>
  useMutation({
    mutationFn: () => answer(api.DELETE("/api/v1/session")),
    onSuccess: () => {
      queryClient.setQueryData(sessionKey, null);
      queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionKey[0] });
    },
  });
