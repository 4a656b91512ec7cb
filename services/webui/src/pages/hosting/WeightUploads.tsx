import { useUploads } from "../../api/uploads";
import { WEIGHT_UPLOADS } from "../../api/weightUploads";
import { Row } from "../../parts/Row";
import { Section } from "../../parts/Section";
import { Surface } from "../../parts/Surface";
import { UploadLine } from "../../parts/UploadLine";

/** Weights on their way from this browser; nothing when there are none. */
export function WeightUploads() {
  const uploads = useUploads(WEIGHT_UPLOADS);
  if (uploads.length === 0) {
    return null;
  }
  return (
    <Section title="Uploads">
      <Surface label="Uploads of weights">
        {uploads.map((upload) => (
          <Row key={upload.id}>
            <UploadLine upload={upload} />
          </Row>
        ))}
      </Surface>
    </Section>
  );
}
