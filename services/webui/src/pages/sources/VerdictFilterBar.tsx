import { Button, CloseButton, Group, Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import type { ScanCounts } from "../../api/scans";
import { integer } from "../../parts/format";
import { isFiltered, type VerdictFilters } from "./verdictFilters";

const TYPING_MS = 250;

interface VerdictFilterBarProps {
  counts: ScanCounts;
  filters: VerdictFilters;
  onChange: (filters: VerdictFilters) => void;
}

export function VerdictFilterBar({ counts, filters, onChange }: VerdictFilterBarProps) {
  const [path, setPath] = useState(filters.path);
  const search = useDebouncedCallback(
    (next: string) => onChange({ ...filters, path: next }),
    TYPING_MS,
  );
  useEffect(() => setPath(filters.path), [filters.path]);

  function type(next: string) {
    setPath(next);
    search(next);
  }

  const languages = counts.languages
    .filter(({ language }) => language)
    .map(({ language, num_files }) => ({
      value: language,
      label: `${language} (${integer(num_files)})`,
    }));
  return (
    <Group gap="sm">
      <TextInput
        aria-label="Part of the path"
        placeholder="Part of the path"
        maxLength={200}
        leftSection={<IconSearch size={16} aria-hidden />}
        rightSection={path && <CloseButton size="sm" aria-label="Clear" onClick={() => type("")} />}
        value={path}
        onChange={(event) => type(event.currentTarget.value)}
        flex="1 1 220px"
      />
      <Select
        aria-label="Language"
        placeholder="Any language"
        clearable
        searchable
        data={languages}
        value={filters.language || null}
        onChange={(language) => onChange({ ...filters, language: language ?? "" })}
        flex="0 1 220px"
        nothingFoundMessage="No such language"
      />
      <Button
        variant="subtle"
        color="gray"
        disabled={!isFiltered(filters)}
        onClick={() => onChange({ ...filters, show: "all", reason: "", language: "", path: "" })}
      >
        Show all
      </Button>
    </Group>
  );
}
