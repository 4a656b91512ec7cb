import { useState } from "react";
import type { Project } from "../../api/projects";
import type { Source } from "../../api/sources";
import { uploadSources } from "../../api/sourceUploads";
import type { UploadState } from "../../api/uploads";
import { DataTable } from "../../parts/DataTable";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { UploadLine } from "../../parts/UploadLine";
import { DeleteSource } from "./DeleteSource";
import { DropZone } from "./DropZone";
import { SourceRow } from "./SourceRow";

const COLUMNS = [
  { key: "name", head: "Name" },
  { key: "split", head: "Feeds", width: 190 },
  { key: "size", head: "Size", isNumber: true, width: 90 },
  { key: "files", head: "Accepted files", isNumber: true, width: 130 },
  { key: "state", head: "State", width: 100 },
  { key: "more", head: null, width: 60 },
];

interface SourceListProps {
  project: Project;
  sources: Source[];
  uploads: UploadState[];
}

export function SourceList({ project, sources, uploads }: SourceListProps) {
  const [deleting, setDeleting] = useState<Source | null>(null);

  const send = (files: File[], replaced?: Source) =>
    uploadSources(project.project_id, files, replaced);

  return (
    <Surface label="Sources of the project">
      <Row>
        <DropZone isFirst={sources.length === 0 && uploads.length === 0} onFiles={send} />
      </Row>
      {uploads.map((each) => (
        <Row key={each.id}>
          <UploadLine upload={each} />
        </Row>
      ))}
      {sources.length > 0 && (
        <Row flush>
          <DataTable label="Sources" columns={COLUMNS}>
            {sources.map((source) => (
              <SourceRow
                key={source.source_id}
                source={source}
                onReplace={(file) => send([file], source)}
                onDelete={() => setDeleting(source)}
              />
            ))}
          </DataTable>
        </Row>
      )}
      <DeleteSource source={deleting} onClose={() => setDeleting(null)} />
    </Surface>
  );
}
