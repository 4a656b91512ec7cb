import { Text } from "@mantine/core";
import type { Process } from "../../api/queries";
import { duration } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { RecordLine } from "../../parts/RecordLine";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { useNow } from "../../parts/useNow";

export function Services({ processes }: { processes: Process[] }) {
  const now = useNow(5);
  const inOrder = [...processes].sort((a, b) =>
    `${a.service} ${a.host_id}`.localeCompare(`${b.service} ${b.host_id}`),
  );
  return (
    <Surface>
      {inOrder.map((process) => (
        <Row key={process.process_id}>
          <RecordLine
            name={process.service}
            facts={[
              `on ${process.host_id}`,
              process.version && `version ${process.version}`,
              `up ${duration(now - process.started_at)}`,
              process.pid > 0 && `process ${process.pid}`,
            ]}
            aside={<PhaseBadge phase={process.status} />}
          >
            {process.detail && <Text size="sm">{process.detail}</Text>}
          </RecordLine>
        </Row>
      ))}
    </Surface>
  );
}
