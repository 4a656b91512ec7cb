import {
  Button,
  CloseButton,
  Group,
  Select,
  Skeleton,
  Stack,
  Text,
  TextInput,
  UnstyledButton,
} from "@mantine/core";
import { IconPlus, IconSearch, IconZoomQuestion } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type CatalogueModel, catalogueQuery } from "../../api/catalogue";
import type { Deployment } from "../../api/queries";
import { EmptyState } from "../../parts/EmptyState";
import { plural } from "../../parts/format";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { CAPABILITIES, type CatalogueFilters, matching } from "./catalogueFilters";
import classes from "./ModelPicker.module.css";
import { ModelSummary } from "./ModelSummary";

interface ModelPickerProps {
  deployments: Deployment[];
  onPick: (model: CatalogueModel) => void;
  /** Another one than those of the catalogue. */
  onAdd: () => void;
}

/** The catalogue, searched. */
export function ModelPicker({ deployments, onPick, onAdd }: ModelPickerProps) {
  const catalogue = useQuery(catalogueQuery);
  const [filters, setFilters] = useState<CatalogueFilters>({ text: "", capability: "" });
  const set = (changes: Partial<CatalogueFilters>) => setFilters({ ...filters, ...changes });
  if (catalogue.isError && !catalogue.data) {
    return (
      <ProblemAlert
        title="The catalogue cannot be shown"
        error={catalogue.error}
        onRetry={() => void catalogue.refetch()}
      />
    );
  }
  if (!catalogue.data) {
    return <Skeleton height={320} radius="lg" aria-label="Loading" role="status" />;
  }
  const found = matching(catalogue.data, filters);
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <TextInput
          aria-label="Search the catalogue"
          placeholder="Name, family or licence"
          leftSection={<IconSearch size={16} aria-hidden />}
          rightSection={
            filters.text && (
              <CloseButton size="sm" aria-label="Clear" onClick={() => set({ text: "" })} />
            )
          }
          value={filters.text}
          onChange={(event) => set({ text: event.currentTarget.value })}
          flex="1 1 220px"
          data-autofocus
        />
        <Select
          aria-label="Capability"
          placeholder="Any capability"
          clearable
          data={CAPABILITIES}
          value={filters.capability || null}
          onChange={(capability) => set({ capability: capability ?? "" })}
          flex="0 1 200px"
        />
        <Button variant="default" leftSection={<IconPlus size={16} aria-hidden />} onClick={onAdd}>
          Add another model
        </Button>
      </Group>
      <Text size="sm" c="dimmed" role="status">
        {plural(found.length, "model")}
        {found.length < catalogue.data.length && ` of ${catalogue.data.length}`}
      </Text>
      {found.length === 0 ? (
        <EmptyState icon={<IconZoomQuestion />} title="No model of the catalogue is like that">
          Try fewer words or another capability, or add the model you look for.
        </EmptyState>
      ) : (
        <ul className={classes.models} aria-label="Models">
          {found.map((model) => (
            <li key={model.name}>
              <UnstyledButton
                className={classes.model}
                aria-label={`Choose ${model.name}`}
                onClick={() => onPick(model)}
              >
                <ModelSummary
                  model={model}
                  isHosted={deployments.some((each) => each.model === model.name)}
                />
              </UnstyledButton>
            </li>
          ))}
        </ul>
      )}
    </Stack>
  );
}
