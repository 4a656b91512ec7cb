import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api, type Schemas } from "./client";

export type Evaluation = Schemas["EvaluationView"];
export type EvaluationCase = Schemas["EvaluationCaseView"];
export type EvaluationScores = NonNullable<Evaluation["base_scores"]>;
export type EvaluationInterval = NonNullable<Evaluation["loss_difference"]>;

export const evaluationQuery = (evaluationId: string) =>
  queryOptions({
    queryKey: ["evaluation", evaluationId],
    queryFn: () =>
      answer(
        api.GET("/api/v1/evaluations/{evaluation_id}", {
          params: { path: { evaluation_id: evaluationId } },
        }),
      ),
    enabled: evaluationId !== "",
  });

export const casesQuery = (
  evaluationId: string,
  pageSize: number,
  pageToken: string,
  status: string,
) =>
  queryOptions({
    queryKey: ["evaluation-cases", evaluationId, pageSize, pageToken, status],
    queryFn: () => {
      const query = { page_size: pageSize, page_token: pageToken };
      const params = { path: { evaluation_id: evaluationId }, query };
      return answer(api.GET("/api/v1/evaluations/{evaluation_id}/cases", { params }));
    },
    placeholderData: keepPreviousData,
  });
