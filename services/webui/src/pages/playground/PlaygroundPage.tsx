import { Grid, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "wouter";
import { clusterQuery, modelNamesQuery } from "../../api/queries";
import { Page } from "../../parts/Page";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { whyNoChat, whyNotReady } from "../../parts/readiness";
import { Row, Surface } from "../../parts/Surface";
import { ChatTab } from "./ChatTab";
import { CompletionTab } from "./CompletionTab";
import { ParameterPanel } from "./ParameterPanel";
import { chosenModel, useParameters } from "./parameters";

export default function PlaygroundPage() {
  const cluster = useQuery(clusterQuery).data;
  const names = useQuery(modelNamesQuery(cluster?.caps_version ?? 0));
  const [parameters, setParameters] = useParameters();
  const [search, setSearch] = useSearchParams();
  const tab = search.get("tab") === "chat" ? "chat" : "completion";
  const models = names.data ?? [];
  const model = chosenModel(parameters.model, models);
  const asking = cluster && names.data ? null : "Asking which models are ready.";
  return (
    <Page title="Playground" about="Ask the model what an IDE would ask it.">
      {names.isError && (
        <ProblemAlert
          title="The models are not known"
          error={names.error}
          onRetry={() => void names.refetch()}
        />
      )}
      <Tabs
        value={tab}
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
              <CompletionTab
                parameters={parameters}
                model={model}
                hindrance={cluster && !asking ? whyNotReady(cluster) : asking}
              />
            </Tabs.Panel>
            <Tabs.Panel value="chat">
              <ChatTab
                parameters={parameters}
                model={model}
                hindrance={cluster && !asking ? whyNoChat(cluster, model) : asking}
              />
            </Tabs.Panel>
          </Grid.Col>
          <Grid.Col span={{ base: 12, lg: 4 }}>
            <Surface label="Parameters">
              <Row>
                <ParameterPanel
                  parameters={parameters}
                  model={model}
                  models={models}
                  withStop={tab === "completion"}
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
