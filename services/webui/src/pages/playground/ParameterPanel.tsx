import { SimpleGrid, TagsInput } from "@mantine/core";
import type { OfferedName } from "../../api/queries";
import { ModelSelect } from "./ModelSelect";
import { NumberSetting } from "./NumberSetting";
import type { Parameters } from "./parameters";

interface ParameterPanelProps {
  parameters: Parameters;
  model: string;
  models: OfferedName[];
  withStop: boolean;
  onChange: (parameters: Parameters) => void;
}

export function ParameterPanel(props: ParameterPanelProps) {
  const { parameters, onChange } = props;
  const set = (change: Partial<Parameters>) => onChange({ ...parameters, ...change });
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, lg: 1 }} spacing="md">
      <ModelSelect model={props.model} models={props.models} onChange={(model) => set({ model })} />
      <NumberSetting
        label="Longest answer"
        description="In tokens"
        min={1}
        max={4096}
        value={parameters.maxTokens}
        onChange={(maxTokens) => set({ maxTokens })}
      />
      <NumberSetting
        label="Temperature"
        description="0 always answers the same"
        min={0}
        max={2}
        step={0.1}
        decimalScale={2}
        value={parameters.temperature}
        onChange={(temperature) => set({ temperature })}
      />
      {props.withStop && (
        <TagsInput
          label="Stop texts"
          description="The answer ends before one of them; \n is a new line"
          placeholder={parameters.stop.length === 0 ? "Type one and press Enter" : ""}
          maxTags={4}
          value={parameters.stop}
          onChange={(stop) => set({ stop })}
        />
      )}
    </SimpleGrid>
  );
}
