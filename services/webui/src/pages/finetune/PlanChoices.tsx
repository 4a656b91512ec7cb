import { Badge, Collapse, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { RunPlan } from "../../api/runs";
import { Disclosure } from "../../parts/Disclosure";
import classes from "./PlanChoices.module.css";
import { parameterLabel, valueText } from "./parameterText";

const ORIGINS = { user: "you", schedule: "schedule", default: "default" } as const;
const COLOURS = { user: "ember", schedule: "blue", default: "gray" } as const;

interface PlanChoicesProps {
  choices: RunPlan["choices"];
  startOpened?: boolean;
}

/** Every value of a plan, who chose it, and why. */
export function PlanChoices({ choices, startOpened = false }: PlanChoicesProps) {
  const [opened, { toggle }] = useDisclosure(startOpened);
  return (
    <>
      <Disclosure label="Every value, and why" opened={opened} onToggle={toggle} />
      <Collapse expanded={opened}>
        <dl className={classes.choices}>
          {choices.map(({ name, value, origin, reason }) => (
            <div key={name} className={classes.choice}>
              <dt>
                <Text size="sm">{parameterLabel(name)}</Text>
              </dt>
              <dd>
                <Text size="sm" fw={600} span>
                  {valueText(value)}
                </Text>
                <Badge size="xs" variant="light" color={COLOURS[origin]} tt="none" ml={8}>
                  {ORIGINS[origin]}
                </Badge>
                {reason && (
                  <Text size="xs" c="dimmed">
                    {reason}
                  </Text>
                )}
              </dd>
            </div>
          ))}
        </dl>
      </Collapse>
    </>
  );
}
