import { Button, Input, SegmentedControl, SimpleGrid, Stack } from "@mantine/core";
import type { CatalogueModel } from "../../api/catalogue";
import type { DeploymentPlan } from "../../api/deployments";
import { NumberField } from "../../parts/NumberField";
import { roomyGibText } from "./gib";
import { plannedBytes } from "./planned";
import type { SettingsProps } from "./SettingsProps";
import { hasGpu, reasonWords, shardingOptions } from "./sharding";

interface SizeSettingsProps extends SettingsProps {
  model: CatalogueModel | undefined;
  /** Devices that a replica of the model may be spread over. */
  deviceCounts: number[];
  plan: DeploymentPlan | undefined;
}

/** How many replicas, on how many devices each, with how much of them. */
export function SizeSettings(props: SizeSettingsProps) {
  const { draft, faults, modelName, model, cluster, deviceCounts, plan, onChange } = props;
  const shape = model ?? { name: modelName, num_heads: 0, num_kv_heads: 0 };
  const options = shardingOptions(shape, deviceCounts, cluster.devices, draft.numDevices);
  const advised = plan ? roomyGibText(plannedBytes(plan)) : "";
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
        <NumberField
          label="Replicas"
          description="Engines that share the requests."
          text={draft.numReplicas}
          error={faults.num_replicas}
          onChange={(numReplicas) => onChange({ numReplicas })}
        />
        <Input.Wrapper
          label="Sharding"
          description={reasonWords(options) || "Devices that each replica is spread over."}
          error={faults.devices_per_replica}
          inputWrapperOrder={["label", "input", "error", "description"]}
          labelElement="div"
        >
          <SegmentedControl
            fullWidth
            mb={5}
            aria-label="Sharding"
            data={options.map(({ count, reason }) => ({
              value: String(count),
              label: String(count),
              disabled: reason !== "",
            }))}
            value={String(draft.numDevices)}
            onChange={(value) => onChange({ numDevices: Number(value) })}
          />
        </Input.Wrapper>
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
        <Input.Wrapper
          label={hasGpu(cluster.devices) ? "Share GPU" : "Share the device"}
          description={
            draft.isShared
              ? "Others may have the rest of the device."
              : "Nothing else runs on its devices."
          }
          inputWrapperOrder={["label", "input", "error", "description"]}
          labelElement="div"
        >
          <SegmentedControl
            fullWidth
            mb={5}
            aria-label="Share GPU"
            data={[
              { value: "whole", label: "Whole device" },
              { value: "share", label: "A share" },
            ]}
            value={draft.isShared ? "share" : "whole"}
            onChange={(value) =>
              onChange({
                isShared: value === "share",
                shareGib: draft.shareGib || advised,
              })
            }
          />
        </Input.Wrapper>
        {draft.isShared && (
          <div>
            <NumberField
              label="Share of each device"
              unit="GiB"
              text={draft.shareGib}
              error={faults.device_bytes}
              onChange={(shareGib) => onChange({ shareGib })}
            />
            {advised !== "" && advised !== draft.shareGib && (
              <Button
                variant="subtle"
                size="compact-xs"
                mt={4}
                ml={-6}
                onClick={() => onChange({ shareGib: advised })}
              >
                Take the {advised} GiB that are advised
              </Button>
            )}
          </div>
        )}
      </SimpleGrid>
    </Stack>
  );
}
