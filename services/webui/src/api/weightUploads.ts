import { catalogueQuery, type ModelOverrides } from "./catalogue";
import { queryClient } from "./client";
import { upload } from "./uploads";

/** The list that shows them. */
export const WEIGHT_UPLOADS = "weights";

/** A model's folder as an archive, which becomes the model, or its weights when it is known. */
export function uploadWeights(model: string, file: File, overrides: ModelOverrides): void {
  const said = Object.entries(overrides).filter(([, value]) => value !== "" && value !== 0);
  const query = new URLSearchParams(said.map(([name, value]) => [name, String(value)]));
  upload([
    {
      list: WEIGHT_UPLOADS,
      file,
      title: `${file.name}, as ${model}`,
      failure: `${model} was not added`,
      url: `/api/v1/models/${encodeURI(model)}/weights?${query}`,
      onTaken: () => queryClient.invalidateQueries({ queryKey: catalogueQuery.queryKey }),
      taken: `${model} can be hosted now.`,
    },
  ]);
}
