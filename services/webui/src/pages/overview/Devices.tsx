import { IconCpuOff } from "@tabler/icons-react";
import type { Device } from "../../api/queries";
import { EmptyState } from "../../parts/EmptyState";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { DeviceCard } from "./DeviceCard";
import classes from "./Devices.module.css";

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
