import { Alert, Group, Progress, Stack, Text } from "@mantine/core";
import type { Device } from "../../api/queries";
import { bytes } from "../../parts/format";
import { DeviceShare } from "./DeviceShare";

const COLOURS = ["ember.7", "blue.6", "grape.6", "teal.7", "yellow.6", "pink.6"];

export function DeviceCard({ device }: { device: Device }) {
  const shares = device.assignments.map((assignment, index) => ({
    holder: assignment.holder,
    bytes: assignment.device_bytes || device.total_bytes,
    colour: COLOURS[index % COLOURS.length] ?? "gray",
  }));
  const held = shares.reduce((sum, share) => sum + share.bytes, 0);
  return (
    <Stack gap="sm">
      <div>
        <Group justify="space-between" wrap="nowrap" align="flex-start">
          <Text fw={600} lh={1.35}>
            {device.name}
          </Text>
          {typeof device.temperature === "number" && (
            <Text size="sm" c="dimmed" style={{ whiteSpace: "nowrap" }}>
              {Math.round(device.temperature)} °C
            </Text>
          )}
        </Group>
        <Text size="sm" c="dimmed" truncate title={device.device_id}>
          {device.kind === "cpu" ? "processor" : "GPU"} on {device.host_id}
        </Text>
      </div>
      <Progress.Root size="lg" aria-label={`Memory of ${device.name}`}>
        {shares.map((share) => (
          <Progress.Section
            key={share.holder}
            value={(100 * share.bytes) / device.total_bytes}
            color={share.colour}
            aria-label={`${share.holder}: ${bytes(share.bytes)}`}
          />
        ))}
      </Progress.Root>
      <Stack gap={4}>
        {shares.map((share) => (
          <DeviceShare
            key={share.holder}
            colour={share.colour}
            words={share.holder}
            amount={share.bytes}
          />
        ))}
        <DeviceShare colour="" words="free" amount={Math.max(0, device.total_bytes - held)} />
      </Stack>
      {!device.healthy && (
        <Alert color="red" p="xs">
          {device.detail || "This device is not healthy and gets no work."}
        </Alert>
      )}
    </Stack>
  );
}
