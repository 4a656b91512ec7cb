import { Alert, Button, FileButton, Text, ThemeIcon } from "@mantine/core";
import { IconUpload } from "@tabler/icons-react";
import { type DragEvent, useRef, useState } from "react";
import classes from "./DropZone.module.css";

interface DropZoneProps {
  /** Whether there is nothing yet, so that this is what to do next. */
  isFirst: boolean;
  onFiles: (files: File[]) => void;
}

/** A browser hands over a folder as a file that can not be read. */
const isFolder = (item: DataTransferItem) => item.webkitGetAsEntry()?.isDirectory ?? false;

export function DropZone({ isFirst, onFiles }: DropZoneProps) {
  const [isOver, setOver] = useState(false);
  const [hasFolder, setHasFolder] = useState(false);
  const resetChoice = useRef<() => void>(null);

  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    setHasFolder(items.some(isFolder));
    const files = items.filter((item) => !isFolder(item)).map((item) => item.getAsFile());
    take(files.filter((file) => file !== null));
  }

  function take(files: File[]) {
    if (files.length > 0) {
      onFiles(files);
    }
    // So that the same file can be chosen again.
    resetChoice.current?.();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button within does the same
    <div
      className={[classes.zone, isFirst && classes.first, isOver && classes.over]
        .filter(Boolean)
        .join(" ")}
      data-testid="drop-zone"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <ThemeIcon size={isFirst ? 48 : 40} radius="xl" variant="light" aria-hidden>
        <IconUpload size={isFirst ? 24 : 20} />
      </ThemeIcon>
      <div className={classes.words}>
        <Text fw={600}>
          {isFirst ? "Add the first source" : "Drop archives or files here to add them"}
        </Text>
        <Text size="sm" c="dimmed">
          {isFirst && "Drop an archive of your code here. A scan starts by itself. "}
          .zip, .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst, or single files
        </Text>
        {hasFolder && (
          <Alert color="yellow" mt="xs" p="xs">
            A folder can not be sent as it is: make an archive of it first.
          </Alert>
        )}
      </div>
      <FileButton multiple resetRef={resetChoice} onChange={take}>
        {(props) => (
          <Button {...props} variant={isFirst ? "filled" : "default"}>
            Choose files
          </Button>
        )}
      </FileButton>
    </div>
  );
}
