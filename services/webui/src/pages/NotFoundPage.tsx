import { Button } from "@mantine/core";
import { IconMapSearch } from "@tabler/icons-react";
import { Link } from "wouter";
import { EmptyState } from "../parts/EmptyState";

export function NotFoundPage() {
  return (
    <EmptyState
      icon={<IconMapSearch />}
      title="There is no such page"
      action={
        <Button component={Link} href="/" mt="sm">
          Go to the overview
        </Button>
      }
    >
      The address may be mistyped, or belong to another version of Hearth.
    </EmptyState>
  );
}
