import { IconBox } from "@tabler/icons-react";
import type { Deployment, Model, OfferedName } from "../../api/queries";
import { Abilities } from "../../parts/Abilities";
import { EmptyState } from "../../parts/EmptyState";
import { bytes, integer, parameters } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { Row } from "../../parts/Row";
import { SiteMark } from "../../parts/SiteMark";
import { Surface } from "../../parts/Surface";

interface ModelsProps {
  models: Model[];
  deployments: Deployment[];
  /** Those of other servers that may be asked. */
  elsewhere: OfferedName[];
}

/** The catalogue: what could be deployed; then what other servers answer with. */
export function Models({ models, deployments, elsewhere }: ModelsProps) {
  if (models.length === 0 && elsewhere.length === 0) {
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
      {elsewhere.map((model) => (
        <Row key={model.id}>
          <RecordLine
            name={model.id}
            facts={[`of ${model.owned_by}`, `context ${integer(model.max_model_len)} tokens`]}
            aside={<SiteMark leavesSite={model.leaves_site} />}
            wideAside
          />
        </Row>
      ))}
    </Surface>
  );
}
