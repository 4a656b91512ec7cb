import { Alert, Group, Progress, Stack, Text } from "@mantine/core";
import { IconCpuOff } from "@tabler/icons-react";
import type { Device } from "../../api/queries";
import { EmptyState } from "../../parts/EmptyState";
import { bytes } from "../../parts/format";
import { Row, Surface } from "../../parts/Surface";
import classes from "./Devices.module.css";

const COLOURS = ["ember.7", "blue.6", "grape.6", "teal.7", "yellow.6", "pink.6"];

export function Devices({ devices }: { devices: Device[] }) {
  if (devices.length === 0) {
    return (
      <Surface>
        <EmptyState icon={<IconCpuOff />} title="No device has reported yet">
          The inference service of each host reports its GPUs, or its processor where there is no
          GPU, a few seconds after it starts.
        </EmptyState>
      </Surface>
    );
  }
  return (
    <div className={classes.devices}>
      {devices.map((device) => (
        <Surface key={`${device.host_id}/${device.device_id}`} label={`Device ${device.name}`}>
          <Row>
            <DeviceCard device={device} />
          </Row>
        </Surface>
      ))}
    </div>
  );
}

function DeviceCard({ device }: { device: Device }) {
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
          {device.kind} on {device.host_id}
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
          <Share
            key={share.holder}
            colour={share.colour}
            words={share.holder}
            amount={share.bytes}
          />
        ))}
        <Share colour="" words="free" amount={Math.max(0, device.total_bytes - held)} />
      </Stack>
      {!device.healthy && (
        <Alert color="red" p="xs">
          {device.detail || "This device is not healthy and gets no work."}
        </Alert>
      )}
    </Stack>
  );
}

function Share({ colour, words, amount }: { colour: string; words: string; amount: number }) {
  const background = colour && `var(--mantine-color-${colour.replace(".", "-")})`;
  return (
    <Group gap={8} wrap="nowrap">
      <span
        className={colour ? classes.swatch : `${classes.swatch} ${classes.free}`}
        style={{ background }}
        aria-hidden
      />
      <Text size="sm" truncate flex={1}>
        {words}
      </Text>
      <Text size="sm" c="dimmed">
        {bytes(amount)}
      </Text>
    </Group>
  );
}
