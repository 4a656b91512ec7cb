import { Tabs } from "@mantine/core";
import { useMemo, useState } from "react";
import type { LogEntry } from "../../api/runRecord";
import type { Run } from "../../api/runs";
import { LogView } from "../../parts/LogView";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { CheckpointTable } from "./CheckpointTable";
import { PlanChoices } from "./PlanChoices";

interface RunTabsProps {
  run: Run;
  log: LogEntry[];
}

const clock = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });

export function RunTabs({ run, log }: RunTabsProps) {
  const [tab, setTab] = useState<string | null>("checkpoints");
  const lines = useMemo(
    () => log.map((each) => ({ ...each, clock: clock.format(each.event_at * 1000) })),
    [log],
  );
  return (
    <Tabs value={tab} onChange={setTab} keepMounted={false}>
      <Tabs.List mb="md" className="scrolling-tabs">
        <Tabs.Tab value="checkpoints">Checkpoints</Tabs.Tab>
        <Tabs.Tab value="log">Log</Tabs.Tab>
        <Tabs.Tab value="parameters">Parameters</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="checkpoints">
        <CheckpointTable run={run} />
      </Tabs.Panel>
      <Tabs.Panel value="log">
        <LogView lines={lines} />
      </Tabs.Panel>
      <Tabs.Panel value="parameters">
        <Surface label="Parameters">
          <Row>
            <PlanChoices choices={run.plan.choices} startOpened />
          </Row>
        </Surface>
      </Tabs.Panel>
    </Tabs>
  );
}
