import { queryOptions, useMutation } from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";

export type Command = Schemas["ToolboxCommandView"];
export type WantedCommand = Schemas["WantedCommand"];
export type PromptMessage = Command["messages"][number];

/** Every command, also those that are switched off. A change of any raises the version of the caps. */
export const toolboxQuery = (capsVersion: number) =>
  queryOptions({
    queryKey: ["toolbox", capsVersion],
    queryFn: () => answer(api.GET("/api/v1/toolbox")),
    placeholderData: (commands: Command[] | undefined) => commands,
  });

const refresh = () => queryClient.invalidateQueries({ queryKey: ["toolbox"] });

/** Refused when somebody was faster: the list is fetched again then, too. */
export const useSaveCommand = () =>
  useMutation({
    mutationFn: ({ name, body }: { name: string; body: WantedCommand }) =>
      answer(api.PUT("/api/v1/toolbox/{name}", { params: { path: { name } }, body })),
    onSettled: refresh,
  });

export const useResetCommand = () =>
  useMutation({
    mutationFn: ({ name, edition }: Command) =>
      answer(
        api.DELETE("/api/v1/toolbox/{name}", { params: { path: { name }, query: { edition } } }),
      ),
    onSettled: refresh,
  });
