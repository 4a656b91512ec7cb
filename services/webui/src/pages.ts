import {
  type Icon,
  IconAdjustmentsSpark,
  IconCode,
  IconFolders,
  IconKey,
  IconLayoutDashboard,
  IconServer2,
  IconTools,
  IconWorldUpload,
} from "@tabler/icons-react";
import { type ComponentType, lazy } from "react";

type Load = () => Promise<{ default: ComponentType }>;

interface PageEntry {
  path: string;
  label: string;
  icon: Icon;
  component: ComponentType;
  load: Load;
}

const entry = (path: string, label: string, icon: Icon, load: Load): PageEntry => ({
  path,
  label,
  icon,
  load,
  component: lazy(load),
});

/** Every page of the navigation. A new page is a folder and a line here. */
export const pages: readonly PageEntry[] = [
  entry("/", "Overview", IconLayoutDashboard, () => import("./pages/overview/OverviewPage")),
  entry("/hosting", "Model hosting", IconServer2, () => import("./pages/hosting/HostingPage")),
  entry(
    "/providers",
    "Providers",
    IconWorldUpload,
    () => import("./pages/providers/ProvidersPage"),
  ),
  entry("/playground", "Playground", IconCode, () => import("./pages/playground/PlaygroundPage")),
  entry("/toolbox", "Toolbox", IconTools, () => import("./pages/toolbox/ToolboxPage")),
  entry("/sources", "Sources", IconFolders, () => import("./pages/sources/SourcesPage")),
  entry(
    "/finetune",
    "Fine-tune",
    IconAdjustmentsSpark,
    () => import("./pages/finetune/FinetunePage"),
  ),
  entry("/tokens", "IDE tokens", IconKey, () => import("./pages/tokens/TokensPage")),
];

/** Fetches the pages that were not opened yet, so that they open also while the server is away. */
export async function fetchAllPages(): Promise<void> {
  await Promise.allSettled(pages.map((page) => page.load()));
}
