import { Group, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";

interface PageProps {
  title: string;
  about: string;
  action?: ReactNode;
  children: ReactNode;
}

export function Page({ title, about, action, children }: PageProps) {
  useDocumentTitle(`${title} · Hearth`);
  return (
    <Stack gap="xl" maw={1180} mx="auto">
      <Group justify="space-between" align="flex-end" gap="md">
        <div>
          <Title order={1} size="h2">
            {title}
          </Title>
          <Text c="dimmed">{about}</Text>
        </div>
        {action}
      </Group>
      {children}
    </Stack>
  );
}
