import { Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Project } from "../../api/projects";
import { sourcesQuery, useLiveSources } from "../../api/sources";
import { useUploads } from "../../api/uploads";
import { moment } from "../../parts/format";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Section } from "../../parts/Section";
import { DatasetSection } from "./DatasetSection";
import { FilesSection } from "./FilesSection";
import { ScanSection } from "./ScanSection";
import { SourceList } from "./SourceList";
import { useScans } from "./useScans";

/** Everything of one project on this page, from its sources to its dataset. */
export function ProjectSources({ project }: { project: Project }) {
  const sources = useQuery(sourcesQuery(project.project_id));
  useLiveSources(project.project_id);
  const uploads = useUploads(project.project_id);
  const scans = useScans(project.project_id);
  if (sources.isError) {
    return (
      <ProblemAlert
        title="The sources cannot be shown"
        error={sources.error}
        onRetry={() => void sources.refetch()}
      />
    );
  }
  if (!sources.data || scans.isPending) {
    return (
      <Stack aria-label="Loading" role="status">
        <Skeleton height={120} radius="lg" />
        <Skeleton height={220} radius="lg" />
      </Stack>
    );
  }
  const hasScans = scans.list.length > 0;
  const isLatest = scans.shown?.scan_id === scans.latest?.scan_id;
  return (
    <>
      <Section title="Sources">
        <SourceList project={project} sources={sources.data} uploads={uploads} />
      </Section>
      {(hasScans || sources.data.length > 0) && (
        <Section title="Scan">
          <ScanSection project={project} scans={scans} hasSources={sources.data.length > 0} />
        </Section>
      )}
      {hasScans && (
        <Section title="Dataset">
          <DatasetSection project={project} latest={scans.latest} />
        </Section>
      )}
      {scans.shown && (
        <Section
          title={isLatest ? "Files" : `Files of the scan of ${moment(scans.shown.created_at)}`}
        >
          <FilesSection key={scans.shown.scan_id} scan={scans.shown} />
        </Section>
      )}
    </>
  );
}
