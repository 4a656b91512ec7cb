import type { ClusterState } from "../../api/queries";
import type { DeploymentDraft, Faults } from "./deploymentDraft";

/** What each group of settings is given. */
export interface SettingsProps {
  draft: DeploymentDraft;
  /** By the API's name of the field. */
  faults: Faults;
  modelName: string;
  cluster: ClusterState;
  onChange: (changes: Partial<DeploymentDraft>) => void;
}
