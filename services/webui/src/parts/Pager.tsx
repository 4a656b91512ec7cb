import { Button, Group, Text } from "@mantine/core";
import { IconChevronLeft, IconChevronRight } from "@tabler/icons-react";
import type { PageTokens } from "./usePageTokens";

interface PagerProps {
  pages: PageTokens;
  /** Of the page that is shown; "" when it is the last. */
  nextToken: string;
  /** What is shown, such as "1 to 50 of 812 files". */
  words: string;
  busy: boolean;
}

export function Pager({ pages, nextToken, words, busy }: PagerProps) {
  return (
    <Group justify="space-between" gap="xs">
      <Text size="sm" c="dimmed" role="status">
        {words}
      </Text>
      <Group gap="xs">
        <Button
          variant="default"
          size="xs"
          leftSection={<IconChevronLeft size={14} aria-hidden />}
          disabled={pages.number === 1}
          onClick={pages.goBack}
        >
          Back
        </Button>
        <Button
          variant="default"
          size="xs"
          rightSection={<IconChevronRight size={14} aria-hidden />}
          disabled={!nextToken}
          loading={busy}
          onClick={() => pages.goNext(nextToken)}
        >
          Next
        </Button>
      </Group>
    </Group>
  );
}
