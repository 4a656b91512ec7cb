import { Badge } from "@mantine/core";
import { IconHome, IconWorldUpload } from "@tabler/icons-react";

/** Whether what is asked goes to others, in words and by colour. */
export function SiteMark({ leavesSite }: { leavesSite: boolean }) {
  const Icon = leavesSite ? IconWorldUpload : IconHome;
  return (
    <Badge
      variant="light"
      color={leavesSite ? "yellow" : "teal"}
      tt="none"
      fw={600}
      style={{ flex: "none" }}
      leftSection={<Icon size={13} aria-hidden />}
    >
      {leavesSite ? "leaves the site" : "stays on site"}
    </Badge>
  );
}
