import { Badge, Group } from "@mantine/core";
import { IconLock } from "@tabler/icons-react";
import type { CatalogueModel } from "../../api/catalogue";
import { Abilities } from "../../parts/Abilities";
import { bytes, integer, parameters } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import classes from "./ModelSummary.module.css";
import { WeightsState } from "./WeightsState";

/** What is to be known of a model before it is hosted. */
export function ModelSummary({ model, isHosted }: { model: CatalogueModel; isHosted: boolean }) {
  const { num_parameters, num_active_parameters, weights_bytes, context_tokens, weights } = model;
  const active =
    num_active_parameters > 0 ? `, ${parameters(num_active_parameters)} for each token` : "";
  return (
    <RecordLine
      name={model.name}
      facts={[
        num_parameters > 0 && `${parameters(num_parameters)} parameters${active}`,
        weights_bytes > 0 && bytes(weights_bytes),
        context_tokens > 0 && `context ${integer(context_tokens)} tokens`,
        model.licence,
        model.quantization,
        weights.state === "absent" && "weights are not here",
      ]}
      aside={
        <Group gap={6} className={classes.aside}>
          {weights.state !== "absent" && <WeightsState weights={weights} />}
          {model.gated && (
            <Badge
              variant="light"
              color="yellow"
              tt="none"
              leftSection={<IconLock size={12} aria-hidden />}
            >
              gated
            </Badge>
          )}
          <Abilities model={model} deployed={isHosted} />
        </Group>
      }
      wideAside
    />
  );
}
