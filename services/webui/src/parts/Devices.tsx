import { Stack, Text } from "@mantine/core";
import { IconCpuOff } from "@tabler/icons-react";
import type { Device } from "../api/queries";
import { DeviceCard } from "./DeviceCard";
import classes from "./Devices.module.css";
import { byHost } from "./deviceShares";
import { EmptyState } from "./EmptyState";
import { Row } from "./Row";
import { Surface } from "./Surface";

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
  const hosts = byHost(devices);
  return hosts.map(([host, itsDevices]) => (
    <Stack key={host} gap="xs" role="group" aria-label={`Devices of ${host}`}>
      {hosts.length > 1 && (
        <Text size="sm" fw={600}>
          {host}
        </Text>
      )}
      <div className={classes.devices}>
        {itsDevices.map((device) => (
          <Surface key={device.device_id} label={`Device ${device.name}`}>
            <Row>
              <DeviceCard device={device} />
            </Row>
          </Surface>
        ))}
      </div>
    </Stack>
  ));
}
