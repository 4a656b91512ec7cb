import { keepPreviousData, queryOptions, useMutation } from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";
import { clusterQuery } from "./queries";

export type NewDeployment = Schemas["NewDeployment"];
export type DeploymentChanges = Schemas["DeploymentChanges"];
export type DeploymentPlan = Schemas["DeploymentPlanView"];
export type AdapterPolicy = NewDeployment["adapter_policy"];

const PLAN_AGAIN_MS = 5_000;

/** What would become of it. The older plan stays until the newer is there. */
export const deploymentPlanQuery = (wanted: NewDeployment) =>
  queryOptions({
    queryKey: ["deployment-plan", wanted],
    queryFn: ({ signal }) => answer(api.POST("/api/v1/deployments/plan", { body: wanted, signal })),
    placeholderData: keepPreviousData,
    // Devices are taken and given back meanwhile.
    refetchInterval: PLAN_AGAIN_MS,
    staleTime: 0,
    gcTime: 0,
    retry: false,
  });

// An event tells too; this is for the moment in which there is none.
const refresh = () => queryClient.invalidateQueries({ queryKey: clusterQuery.queryKey });

const pathOf = (deploymentId: string) => ({ path: { deployment_id: deploymentId } });

export const useCreateDeployment = () =>
  useMutation({
    mutationFn: (body: NewDeployment) => answer(api.POST("/api/v1/deployments", { body })),
    onSuccess: refresh,
  });

export const useChangeDeployment = () =>
  useMutation({
    mutationFn: ({ deploymentId, body }: { deploymentId: string; body: DeploymentChanges }) =>
      answer(
        api.PATCH("/api/v1/deployments/{deployment_id}", { params: pathOf(deploymentId), body }),
      ),
    onSuccess: refresh,
  });

export const useDeleteDeployment = () =>
  useMutation({
    mutationFn: (deploymentId: string) =>
      answer(api.DELETE("/api/v1/deployments/{deployment_id}", { params: pathOf(deploymentId) })),
    onSuccess: refresh,
  });

export const useRestartDeployment = () =>
  useMutation({
    mutationFn: (deploymentId: string) =>
      answer(
        api.POST("/api/v1/deployments/{deployment_id}/restart", { params: pathOf(deploymentId) }),
      ),
    onSuccess: refresh,
  });
