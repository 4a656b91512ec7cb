import { Button, Center, Stack, Text, Title } from "@mantine/core";
import { Component, type ReactNode } from "react";

interface CrashBoundaryState {
  error: Error | null;
}

/** Shows what went wrong instead of an empty page when a component throws. */
export class CrashBoundary extends Component<{ children: ReactNode }, CrashBoundaryState> {
  override state: CrashBoundaryState = { error: null };

  static getDerivedStateFromError(error: Error): CrashBoundaryState {
    return { error };
  }

  override render() {
    if (!this.state.error) {
      return this.props.children;
    }
    return (
      <Center mih="60vh" p="md">
        <Stack align="flex-start" maw={520} role="alert">
          <Title order={1} size="h3">
            This page met a fault of its own
          </Title>
          <Text>
            Nothing on the server was changed. Load the page again; if it happens once more, report
            it with this line:
          </Text>
          <Text ff="monospace" size="sm">
            {this.state.error.message}
          </Text>
          <Button onClick={() => window.location.reload()}>Load again</Button>
        </Stack>
      </Center>
    );
  }
}
