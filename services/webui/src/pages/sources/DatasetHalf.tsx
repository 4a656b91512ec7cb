import { Text } from "@mantine/core";
import type { DatasetPart } from "../../api/datasets";
import { Facts } from "../../parts/Facts";
import { bytes, integer, loss, parameters } from "../../parts/format";
import classes from "./DatasetHalf.module.css";

interface DatasetHalfProps {
  title: string;
  about: string;
  part: DatasetPart;
  /** What to do when it is empty. */
  advice: string;
}

export function DatasetHalf({ title, about, part, advice }: DatasetHalfProps) {
  return (
    <section className={classes.half} aria-label={title}>
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed" mb="sm">
        {part.num_files > 0 ? about : advice}
      </Text>
      <Facts
        facts={[
          ["Files", integer(part.num_files)],
          ["Text", bytes(part.size_bytes)],
          ["Tokens", part.num_tokens > 0 ? parameters(part.num_tokens) : ""],
          ["Loss per token", typeof part.mean_loss === "number" ? loss(part.mean_loss) : ""],
        ]}
      />
    </section>
  );
}
