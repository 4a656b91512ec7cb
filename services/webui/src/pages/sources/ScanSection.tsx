import { IconListSearch } from "@tabler/icons-react";
import type { Project } from "../../api/projects";
import { EmptyState } from "../../parts/EmptyState";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { ScanHistory } from "./ScanHistory";
import { ScanState } from "./ScanState";
import { StartScan } from "./StartScan";
import type { Scans } from "./useScans";

interface ScanSectionProps {
  project: Project;
  scans: Scans;
  hasSources: boolean;
}

export function ScanSection({ project, scans, hasSources }: ScanSectionProps) {
  if (!scans.latest) {
    return (
      <Surface>
        <EmptyState
          icon={<IconListSearch />}
          title="Nothing was scanned yet"
          action={project.manual_scans && <StartScan projectId={project.project_id} isFirst />}
        >
          {project.manual_scans
            ? "This project is scanned by hand only."
            : "A scan starts by itself within a second or two."}
        </EmptyState>
      </Surface>
    );
  }
  return (
    <Surface label="Latest scan">
      <Row>
        <ScanState scan={scans.latest} hasSources={hasSources} />
      </Row>
      {scans.list.length > 1 && (
        <Row>
          <ScanHistory scans={scans} />
        </Row>
      )}
    </Surface>
  );
}
