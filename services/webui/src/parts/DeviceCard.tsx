import { Alert, Group, Progress, Stack, Text } from "@mantine/core";
import { IconTemperature } from "@tabler/icons-react";
import type { Device } from "../api/queries";
import { DeviceShare } from "./DeviceShare";
import classes from "./Devices.module.css";
import { deviceShares, freeBytes, shortId } from "./deviceShares";
import { bytes } from "./format";

export function DeviceCard({ device }: { device: Device }) {
  const shares = deviceShares(device);
  return (
    <Stack gap="sm">
      <div>
        <Group justify="space-between" wrap="nowrap" align="flex-start">
          <Text fw={600} lh={1.35}>
            {device.name}
          </Text>
          {typeof device.temperature === "number" && (
            <span className={classes.temperature}>
              <IconTemperature size={15} aria-label="Temperature" />
              {Math.round(device.temperature)} °C
            </span>
          )}
        </Group>
        <Text size="sm" c="dimmed" truncate title={device.device_id}>
          {device.kind === "cpu" ? "processor" : `GPU ${shortId(device.device_id)}`} on{" "}
          {device.host_id}, {bytes(device.total_bytes)}
        </Text>
      </div>
      <Progress.Root size="lg" aria-label={`Memory of ${device.name}`}>
        {shares.map((share) => (
          <Progress.Section
            key={share.words}
            value={(100 * share.bytes) / device.total_bytes}
            color={share.colour}
            aria-label={`${share.words}: ${bytes(share.bytes)}`}
          />
        ))}
      </Progress.Root>
      <Stack gap={4}>
        {shares.map((share) => (
          <DeviceShare
            key={share.words}
            colour={share.colour}
            words={share.words}
            amount={share.bytes}
          />
        ))}
        <DeviceShare colour="" words="free" amount={freeBytes(device, shares)} />
      </Stack>
      {!device.healthy && (
        <Alert color="red" p="xs">
          {device.detail || "This device is not healthy and gets no work."}
        </Alert>
      )}
    </Stack>
  );
}
