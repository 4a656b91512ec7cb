import { Button, Group, Select, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import type { useCreateToken } from "../../api/queries";
import { ProblemAlert } from "../../parts/ProblemAlert";

const LIFETIMES = [
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "1 year" },
  { value: "0", label: "Never" },
];
const DAY_SECONDS = 86_400;

interface TokenFormProps {
  create: ReturnType<typeof useCreateToken>;
  onClose: () => void;
}

export function TokenForm({ create, onClose }: TokenFormProps) {
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
