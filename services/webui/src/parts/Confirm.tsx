import { Button, Group, Modal, Stack } from "@mantine/core";
import type { ReactNode } from "react";
import { ProblemAlert } from "./ProblemAlert";

interface ConfirmProps {
  opened: boolean;
  title: string;
  /** What it does, and what can not be brought back. */
  children: ReactNode;
  /** What is done, such as "Revoke". */
  verb: string;
  keep: string;
  failure: string;
  isPending: boolean;
  error: Error | null;
  onConfirm: () => void;
  onClose: () => void;
  onClosed: () => void;
}

/** Asks before something is done that can not be undone. */
export function Confirm(props: ConfirmProps) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      onExitTransitionEnd={props.onClosed}
      title={props.title}
      closeButtonProps={{ "aria-label": "Close" }}
      styles={{ title: { overflowWrap: "anywhere" } }}
    >
      <Stack>
        {props.children}
        {props.error && <ProblemAlert title={props.failure} error={props.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={props.onClose} data-autofocus>
            {props.keep}
          </Button>
          <Button color="red.9" loading={props.isPending} onClick={props.onConfirm}>
            {props.verb}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
