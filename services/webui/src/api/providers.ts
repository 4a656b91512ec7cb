import { queryOptions, useMutation } from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";

export type Provider = Schemas["ProviderView"];
export type ProviderKind = Schemas["ProviderKindView"];
export type ProviderModel = Schemas["ProviderModelFields"];
export type NewProvider = Schemas["NewProvider"];
export type ProviderChanges = Schemas["ProviderChanges"];
export type OfferedModel = Schemas["OfferedModelView"];
export type ProviderTest = Schemas["ProviderTestView"];

/** Servers elsewhere, oldest first. */
export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: () => answer(api.GET("/api/v1/providers")),
  // No event tells of one that a script changed.
  staleTime: 0,
});

export const providerKindsQuery = queryOptions({
  queryKey: ["provider-kinds"],
  queryFn: () => answer(api.GET("/api/v1/providers/kinds")),
});

const refresh = () => queryClient.invalidateQueries({ queryKey: providersQuery.queryKey });

const pathOf = (providerId: string) => ({ params: { path: { provider_id: providerId } } });

export const useCreateProvider = () =>
  useMutation({
    mutationFn: (body: NewProvider) => answer(api.POST("/api/v1/providers", { body })),
    onSuccess: refresh,
  });

interface ProviderChange {
  providerId: string;
  body: ProviderChanges;
}

export const useChangeProvider = () =>
  useMutation({
    mutationFn: ({ providerId, body }: ProviderChange) =>
      answer(api.PATCH("/api/v1/providers/{provider_id}", { ...pathOf(providerId), body })),
    onSuccess: refresh,
  });

export const useDeleteProvider = () =>
  useMutation({
    mutationFn: (providerId: string) =>
      answer(api.DELETE("/api/v1/providers/{provider_id}", pathOf(providerId))),
    onSettled: refresh,
  });

interface ProviderQuestion {
  providerId: string;
  /** By the provider's own name; "" asks which models it has. */
  model: string;
}

/** A provider that refuses is an answer too: its `problem` says why. */
export const useTestProvider = () =>
  useMutation({
    mutationFn: ({ providerId, model }: ProviderQuestion) =>
      answer(
        api.POST("/api/v1/providers/{provider_id}/test", {
          ...pathOf(providerId),
          body: { model },
        }),
      ),
  });
