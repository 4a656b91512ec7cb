import { Alert, Button, Group, Modal, Select, Stack, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconAlertTriangle } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { useCreateToken } from "../../api/queries";
import { CodeBlock } from "../../parts/CodeBlock";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { ConnectGuide } from "./ConnectGuide";

const LIFETIMES = [
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "1 year" },
  { value: "0", label: "Never" },
];
const DAY_SECONDS = 86_400;

export function CreateToken({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const narrow = useMediaQuery("(max-width: 48em)");
  const create = useCreateToken();
  const token = create.data?.token;
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      onExitTransitionEnd={create.reset}
      title={token ? "Your new token" : "Create a token"}
      size="lg"
      fullScreen={narrow ?? false}
      // A token that is shown once must not vanish by a click beside it.
      closeOnClickOutside={!token}
      closeOnEscape={!token}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {token ? (
        <NewToken token={token} onClose={onClose} />
      ) : (
        <TokenForm create={create} onClose={onClose} />
      )}
    </Modal>
  );
}

interface TokenFormProps {
  create: ReturnType<typeof useCreateToken>;
  onClose: () => void;
}

function TokenForm({ create, onClose }: TokenFormProps) {
  const [name, setName] = useState("");
  const [days, setDays] = useState("365");

  function submit(event: FormEvent) {
    event.preventDefault();
    const expires_at = days === "0" ? 0 : Date.now() / 1000 + Number(days) * DAY_SECONDS;
    create.mutate({ name: name.trim(), scopes: ["completions", "models:read"], expires_at });
  }

  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Name"
          description="Where you will use it, so that you know which one to take back"
          placeholder="VS Code on my laptop"
          required
          maxLength={100}
          data-autofocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          label="Expires after"
          data={LIFETIMES}
          value={days}
          allowDeselect={false}
          onChange={(value) => setDays(value ?? "365")}
        />
        {create.isError && <ProblemAlert title="No token was made" error={create.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!name.trim()}>
            Create
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function NewToken({ token, onClose }: { token: string; onClose: () => void }) {
  return (
    <Stack>
      <Alert color="yellow" icon={<IconAlertTriangle aria-hidden />}>
        Copy it now. Hearth keeps only a hash of it and can not show it again.
      </Alert>
      <CodeBlock text={token} label="the token" />
      <ConnectGuide token={token} />
      <Group justify="flex-end">
        <Button onClick={onClose}>I have copied it</Button>
      </Group>
    </Stack>
  );
}
