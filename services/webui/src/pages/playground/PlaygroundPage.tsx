import { Grid, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useContext } from "react";
import { useSearchParams } from "wouter";
import { LiveContext } from "../../api/live";
import { clusterQuery, isElsewhere, offeredNamesQuery } from "../../api/queries";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import {
  type Hindrance,
  UNREACHABLE,
  whyNoChat,
  whyNotElsewhere,
  whyNotReady,
} from "../../parts/readiness";
import { Surface } from "../../parts/Surface";
import { ChatTab } from "./ChatTab";
import { CompletionTab } from "./CompletionTab";
import { ParameterPanel } from "./ParameterPanel";
import { chosenModel, type Kind, useParameters } from "./parameters";

const ASKING: Hindrance = { reason: "", isFailure: false };

export default function PlaygroundPage() {
  const live = useContext(LiveContext);
  const cluster = useQuery(clusterQuery).data;
  const names = useQuery(offeredNamesQuery(cluster?.caps_version ?? 0));
  const [search, setSearch] = useSearchParams();
  const kind: Kind = search.get("tab") === "chat" ? "chat" : "completion";
  const kept = { completion: useParameters("completion"), chat: useParameters("chat") };
  const [parameters, setParameters] = kept[kind];
  const models = names.data ?? [];
  const chosen = chosenModel(parameters.model, models);
  const model = chosen?.id ?? "";
  const elsewhere = chosen && isElsewhere(chosen) ? chosen : null;

  function hindrance(): Hindrance | null {
    if (live === "reconnecting") {
      return UNREACHABLE;
    }
    if (!cluster || !names.data) {
      return ASKING;
    }
    if (elsewhere) {
      return whyNotElsewhere(elsewhere, kind);
    }
    if (!chosen && models.length > 0 && cluster.deployments.length === 0) {
      return {
        reason: "This server hosts no model: choose one of another server.",
        isFailure: false,
      };
    }
    return kind === "chat" ? whyNoChat(cluster, model) : whyNotReady(cluster);
  }

  const tab = { parameters, model, elsewhere, hindrance: hindrance() };
  return (
    <Page title="Playground" about="Ask the model what an IDE would ask it.">
      {names.isError && live !== "reconnecting" && (
        <ProblemAlert
          title="The models are not known"
          error={names.error}
          onRetry={() => void names.refetch()}
        />
      )}
      <Tabs
        value={kind}
        onChange={(value) => setSearch(value === "chat" ? { tab: "chat" } : {}, { replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="lg">
          <Tabs.Tab value="completion">Completion</Tabs.Tab>
          <Tabs.Tab value="chat">Chat</Tabs.Tab>
        </Tabs.List>
        <Grid gap="lg">
          <Grid.Col span={{ base: 12, lg: 8 }}>
            <Tabs.Panel value="completion">
              <CompletionTab {...tab} />
            </Tabs.Panel>
            <Tabs.Panel value="chat">
              <ChatTab {...tab} />
            </Tabs.Panel>
          </Grid.Col>
          <Grid.Col span={{ base: 12, lg: 4 }}>
            <Surface label="Parameters">
              <Row>
                <ParameterPanel
                  key={kind}
                  parameters={parameters}
                  model={model}
                  models={models}
                  withStop={kind === "completion"}
                  onChange={setParameters}
                />
              </Row>
            </Surface>
          </Grid.Col>
        </Grid>
      </Tabs>
    </Page>
  );
}
