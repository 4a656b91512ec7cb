import { queryClient } from "./client";
import { refreshScans } from "./scans";
import { type Source, sourcesQuery } from "./sources";
import { upload } from "./uploads";

/** As new sources of a project, or in place of the bytes of one. They are shown by the project's id. */
export function uploadSources(projectId: string, files: File[], replaced?: Source): void {
  upload(
    files.map((file) => {
      const query = new URLSearchParams({ file_name: file.name });
      if (replaced) {
        query.set("replaced_source_id", replaced.source_id);
      }
      return {
        list: projectId,
        file,
        title: replaced ? `${file.name}, in place of ${replaced.name}` : file.name,
        failure: `${file.name} was not ${replaced ? "taken" : "added"}`,
        url: `/api/v1/projects/${projectId}/sources?${query}`,
        onTaken: async () => {
          await queryClient.invalidateQueries({ queryKey: sourcesQuery(projectId).queryKey });
          refreshScans(projectId);
        },
        taken: "",
      };
    }),
  );
}
