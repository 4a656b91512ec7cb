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

/** What a request may give as its model: bases, `MODEL:auto`, `MODEL:ADAPTER`, models elsewhere. */
export interface OfferedName {
  id: string;
  /** "hearth", or the provider that has it. */
  owned_by: string;
  max_model_len: number;
  completion: boolean;
  chat: boolean;
  leaves_site: boolean;
}

export const isElsewhere = (offered: OfferedName) => offered.owned_by !== "hearth";

/** What leaves the site comes last, the server's order holds otherwise. */
export const ownFirst = (offered: readonly OfferedName[]): OfferedName[] =>
  offered.toSorted((one, other) => Number(one.leaves_site) - Number(other.leaves_site));

export const offeredNamesQuery = (capsVersion: number) =>
  queryOptions({
    queryKey: ["offered-names", capsVersion],
    queryFn: async (): Promise<OfferedName[]> => {
      const response = await hearthFetch(new Request(`${place}/v1/models`));
      const body = (await response.json().catch(() => null)) as { data: OfferedName[] } | null;
      if (!response.ok || !body) {
        throw problemOf(response.status, body);
      }
      return ownFirst(body.data);
    },
    placeholderData: (offered: OfferedName[] | undefined) => offered,
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
