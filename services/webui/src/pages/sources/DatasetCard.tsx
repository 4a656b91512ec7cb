import { Button, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { IconAdjustmentsSpark } from "@tabler/icons-react";
import { Link } from "wouter";
import type { Dataset } from "../../api/datasets";
import type { Project } from "../../api/projects";
import { integer, moment, plural } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { DatasetHalf } from "./DatasetHalf";
import { Languages } from "./Languages";

function changeWords({ change }: Dataset): string | false {
  if (!change) {
    return false;
  }
  const { num_added_files, num_removed_files, num_changed_files } = change;
  const words = [
    num_added_files > 0 && `${integer(num_added_files)} added`,
    num_removed_files > 0 && `${integer(num_removed_files)} removed`,
    num_changed_files > 0 && `${integer(num_changed_files)} changed`,
  ].filter(Boolean);
  return words.length > 0 && `${words.join(", ")} since the one before`;
}

/** What a model would learn from. */
export function DatasetCard({ dataset, project }: { dataset: Dataset; project: Project }) {
  const { train, test, num_duplicate_files, languages, licences } = dataset;
  const known = licences.filter(({ licence }) => licence);
  return (
    <Stack gap="md">
      <RecordLine
        name={`Dataset of ${moment(dataset.created_at)}`}
        facts={[
          changeWords(dataset),
          num_duplicate_files > 0 && `${plural(num_duplicate_files, "duplicate")} left out`,
        ]}
        aside={
          train.num_files > 0 && (
            <Button
              component={Link}
              href={`/finetune?project=${project.project_id}&new=${dataset.dataset_id}`}
              leftSection={<IconAdjustmentsSpark size={16} aria-hidden />}
            >
              Fine-tune on it
            </Button>
          )
        }
        wideAside
      />
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
        <DatasetHalf
          title="Train"
          about="A fine-tune learns from these."
          part={train}
          advice="Nothing to train on: add a source that feeds train, or look below why files were rejected."
        />
        <DatasetHalf
          title="Test"
          about="Held out, to see whether it has learned."
          part={test}
          advice="Nothing is held out, so a fine-tune cannot be evaluated: let one source feed test or auto."
        />
      </SimpleGrid>
      {languages.length > 0 && <Languages languages={languages} />}
      {known.length > 0 && (
        <Group gap={6}>
          <Text size="sm" c="dimmed">
            Licences named in files:{" "}
            {known.map((each) => `${each.licence} (${integer(each.num_files)})`).join(", ")}
          </Text>
        </Group>
      )}
      {dataset.loss_skipped_reason && (
        <Text size="sm" c="dimmed">
          Not filtered by loss: {dataset.loss_skipped_reason}
        </Text>
      )}
    </Stack>
  );
}
