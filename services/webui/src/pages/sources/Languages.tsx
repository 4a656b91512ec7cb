import { Progress, Text } from "@mantine/core";
import type { Dataset } from "../../api/datasets";
import { integer, percent } from "../../parts/format";
import classes from "./Languages.module.css";

const COLOURS = ["ember.7", "blue.6", "teal.6", "grape.6", "yellow.6", "pink.6"];

/** Shares of the accepted files; the rarest are one. */
function sharesOf(languages: Dataset["languages"]) {
  const found = languages
    .filter((each) => each.num_accepted_files > 0)
    .map((each) => ({ name: each.language || "no language", count: each.num_accepted_files }));
  const shown = found.slice(0, COLOURS.length);
  const rest = found.slice(COLOURS.length);
  const restCount = rest.reduce((sum, each) => sum + each.count, 0);
  return {
    shares: restCount > 0 ? [...shown, { name: `${rest.length} others`, count: restCount }] : shown,
    total: found.reduce((sum, each) => sum + each.count, 0),
  };
}

export function Languages({ languages }: { languages: Dataset["languages"] }) {
  const { shares, total } = sharesOf(languages);
  const colour = (index: number) => COLOURS[index] ?? "gray.5";
  return (
    <div>
      <Progress.Root size="md" aria-label="Languages by files">
        {shares.map(({ name, count }, index) => (
          <Progress.Section
            key={name}
            value={(100 * count) / total}
            color={colour(index)}
            aria-label={`${name}: ${integer(count)}`}
          />
        ))}
      </Progress.Root>
      <div className={classes.names}>
        {shares.map(({ name, count }, index) => (
          <Text key={name} size="sm" span>
            <span
              className={classes.swatch}
              style={{ background: `var(--mantine-color-${colour(index).replace(".", "-")})` }}
              aria-hidden
            />
            {name}{" "}
            <Text span c="dimmed">
              {percent(count / total)}
            </Text>
          </Text>
        ))}
      </div>
    </div>
  );
}
