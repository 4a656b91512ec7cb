import { IconBox } from "@tabler/icons-react";
import type { Deployment, Model } from "../../api/queries";
import { Abilities } from "../../parts/Abilities";
import { EmptyState } from "../../parts/EmptyState";
import { bytes, integer, parameters } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";

/** The catalogue: what could be deployed. */
export function Models({ models, deployments }: { models: Model[]; deployments: Deployment[] }) {
  if (models.length === 0) {
    return (
      <Surface>
        <EmptyState icon={<IconBox />} title="The catalogue is empty">
          Models appear here when the inference service has read their files.
        </EmptyState>
      </Surface>
    );
  }
  return (
    <Surface>
      {models.map((model) => (
        <Row key={model.name}>
          <RecordLine
            name={model.name}
            facts={[
              model.num_parameters > 0 && `${parameters(model.num_parameters)} parameters`,
              model.weights_bytes > 0 && bytes(model.weights_bytes),
              model.context_tokens > 0 && `context ${integer(model.context_tokens)} tokens`,
              model.licence,
            ]}
            aside={
              <Abilities
                model={model}
                deployed={deployments.some((deployment) => deployment.model === model.name)}
              />
            }
            wideAside
          />
        </Row>
      ))}
    </Surface>
  );
}
