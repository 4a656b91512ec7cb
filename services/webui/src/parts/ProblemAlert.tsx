import { Alert, Button } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";

interface ProblemAlertProps {
  title: string;
  error: Error;
  onRetry?: () => void;
}

export function ProblemAlert({ title, error, onRetry }: ProblemAlertProps) {
  return (
    <Alert color="red" title={title} icon={<IconAlertTriangle aria-hidden />} role="alert">
      {error.message}
      {onRetry && (
        <Button mt="sm" display="block" size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}
