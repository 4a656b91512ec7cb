import { Group, Progress, Text, ThemeIcon, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Row } from "./Row";
import { Surface } from "./Surface";

interface StateBannerProps {
  colour: string;
  icon: ReactNode;
  title: string;
  children: ReactNode;
  action?: ReactNode;
  busy?: boolean;
}

/** How Hearth is, at a glance. `busy`: it changes by itself soon. */
export function StateBanner({
  colour,
  icon,
  title,
  children,
  action,
  busy = false,
}: StateBannerProps) {
  return (
    <Surface>
      <Row>
        <Group gap="md">
          <Group gap="md" wrap="nowrap" align="flex-start" flex="1 1 260px" miw={0} role="status">
            <ThemeIcon size={44} radius="xl" variant="light" color={colour} aria-hidden>
              {icon}
            </ThemeIcon>
            <div style={{ minWidth: 0, overflowWrap: "anywhere" }}>
              <Title order={2} size="h4">
                {title}
              </Title>
              <Text c="dimmed">{children}</Text>
            </div>
          </Group>
          {action}
        </Group>
        {busy && (
          <Progress value={100} animated size="sm" mt="md" color={colour} aria-label="Starting" />
        )}
      </Row>
    </Surface>
  );
}
