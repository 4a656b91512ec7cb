import { Button, Group, Progress, Text } from "@mantine/core";
import { dropUpload, retryUpload, type UploadState } from "../api/uploads";
import { bytes, duration } from "./format";
import { ProblemAlert } from "./ProblemAlert";

/** How far an upload is, in words. */
function progressOf(upload: UploadState): string {
  const { status, sentBytes, file, bytesPerSecond, remainingSeconds } = upload;
  if (status === "waiting") {
    return `${bytes(file.size)}, waits for the one before`;
  }
  if (status === "checking") {
    return `${bytes(file.size)} sent. Hearth looks at it`;
  }
  const rate = bytesPerSecond ? `, ${bytes(bytesPerSecond)}/s` : "";
  const rest = remainingSeconds === null ? "" : `, ${duration(remainingSeconds)} left`;
  return `${bytes(sentBytes)} of ${bytes(file.size)}${rate}${rest}`;
}

/** A file on its way, or what became of it. */
export function UploadLine({ upload }: { upload: UploadState }) {
  const { id, file, title, status, sentBytes, problem } = upload;
  const share = file.size > 0 ? (100 * sentBytes) / file.size : 100;
  if (problem) {
    return (
      <>
        <ProblemAlert title={upload.failure} error={problem} />
        <Group gap="xs" mt="xs">
          <Button size="xs" variant="default" onClick={() => retryUpload(id)}>
            Send it again
          </Button>
          <Button size="xs" variant="subtle" color="gray" onClick={() => dropUpload(id)}>
            Dismiss
          </Button>
        </Group>
      </>
    );
  }
  if (status === "taken") {
    return (
      <Group gap="md" justify="space-between">
        <Text role="status" style={{ overflowWrap: "anywhere", flex: 1, minWidth: 0 }}>
          {upload.taken}
        </Text>
        <Button size="xs" variant="default" onClick={() => dropUpload(id)}>
          Dismiss
        </Button>
      </Group>
    );
  }
  return (
    <Group gap="md" wrap="nowrap" aria-label={`Upload of ${file.name}`} role="group">
      <div style={{ flex: 1, minWidth: 0 }}>
        <Text fw={600} truncate title={file.name}>
          {title}
        </Text>
        <Progress
          my={6}
          value={share}
          animated={status === "checking"}
          aria-label={`Sent of ${file.name}`}
        />
        <Text size="sm" c="dimmed" ff="text" style={{ fontVariantNumeric: "tabular-nums" }}>
          {progressOf(upload)}
        </Text>
      </div>
      <Button
        size="xs"
        variant="default"
        aria-label={`Cancel the upload of ${file.name}`}
        onClick={() => dropUpload(id)}
      >
        Cancel
      </Button>
    </Group>
  );
}
