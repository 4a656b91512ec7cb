import { ActionIcon, FileButton, Menu, SegmentedControl, Text } from "@mantine/core";
import { IconDots, IconReplace, IconTrash } from "@tabler/icons-react";
import { useRef } from "react";
import { type Source, type Split, useChangeSource } from "../../api/sources";
import { Cell } from "../../parts/DataTable";
import { bytes, day, integer } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";

const SPLITS: { value: Split; label: string }[] = [
  { value: "train", label: "Train" },
  { value: "test", label: "Test" },
  { value: "auto", label: "Auto" },
];

interface SourceRowProps {
  source: Source;
  onReplace: (file: File) => void;
  onDelete: () => void;
}

export function SourceRow({ source, onReplace, onDelete }: SourceRowProps) {
  const change = useChangeSource();
  const choose = useRef<HTMLButtonElement>(null);
  const split = change.isPending ? change.variables.split : source.split;
  const size = source.phase === "ready" ? source.fetched_bytes : source.total_bytes;
  return (
    <tr>
      <Cell>
        <Text fw={600} size="sm">
          {source.name}
        </Text>
        <Text size="xs" c="dimmed">
          {source.kind}, added {day(source.created_at)}
        </Text>
        {source.phase !== "ready" && source.detail && (
          <Text size="sm" {...(source.phase === "failed" && { c: "red" })}>
            {source.detail}
          </Text>
        )}
        {change.isError && (
          <Text size="sm" c="red" role="alert">
            {change.error.message}
          </Text>
        )}
      </Cell>
      <Cell isWhole>
        <SegmentedControl
          size="xs"
          aria-label={`What ${source.name} feeds`}
          data={SPLITS}
          value={split}
          onChange={(value) => change.mutate({ source, split: value as Split })}
        />
      </Cell>
      <Cell isNumber>{size > 0 ? bytes(size) : ""}</Cell>
      <Cell isNumber {...(source.scan_id && { label: "Accepted" })}>
        {source.scan_id ? (
          `${integer(source.num_accepted_files)} of ${integer(source.num_files)}`
        ) : (
          <Text span size="sm" c="dimmed">
            not scanned yet
          </Text>
        )}
      </Cell>
      <Cell>
        <PhaseBadge phase={source.phase} />
      </Cell>
      <Cell isCorner>
        <FileButton onChange={(file) => file && onReplace(file)}>
          {(props) => <button {...props} ref={choose} type="button" hidden />}
        </FileButton>
        <Menu position="bottom-end" width={200}>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={`More about ${source.name}`}>
              <IconDots size={18} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              leftSection={<IconReplace size={16} aria-hidden />}
              onClick={() => choose.current?.click()}
            >
              Replace its content
            </Menu.Item>
            <Menu.Item
              color="red"
              leftSection={<IconTrash size={16} aria-hidden />}
              onClick={onDelete}
            >
              Delete
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </Cell>
    </tr>
  );
}
