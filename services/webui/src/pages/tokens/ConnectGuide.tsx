import { Stack, Tabs, Text } from "@mantine/core";
import { CodeBlock } from "../../parts/CodeBlock";
import { curlCompletion } from "../../parts/curl";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { place, serverAddress } from "../../place";

interface Step {
  words: string;
  text: string;
  /** What `text` is, for its copy button. */
  label: string;
}

interface Client {
  name: string;
  steps: Step[];
}

function clientsOf(server: string, token: string): Client[] {
  const key = { words: "Paste the token as the API key:", text: token, label: "the API key" };
  const address = (where: string) => ({
    words: `Open ${where} and paste the address:`,
    // The agent takes what stands behind the last slash of a path for a file, and drops it.
    text: place ? `${server}/` : server,
    label: "the address",
  });
  return [
    {
      name: "VS Code",
      steps: [address("Extensions > Refact.ai Assistant > Extension Settings > Infurl"), key],
    },
    {
      name: "JetBrains",
      steps: [address("Settings > Tools > Refact.ai > Advanced > Inference URL"), key],
    },
    {
      name: "OpenAI",
      steps: [
        {
          words: "Programs that speak the OpenAI API read these two:",
          text: `OPENAI_BASE_URL=${server}/v1\nOPENAI_API_KEY=${token}`,
          label: "the environment variables",
        },
      ],
    },
    {
      name: "curl",
      steps: [
        {
          words: "A completion, streamed:",
          text: curlCompletion(
            server,
            token,
            '{"prompt": "import os\\n\\ndef ", "max_tokens": 32, "stream": true}',
          ),
          label: "the completion command",
        },
        {
          words: "Fill in the middle, between a prompt and a suffix:",
          text: curlCompletion(
            server,
            token,
            '{"prompt": "def add(a, b):\\n    ", "suffix": "\\n\\nadd(1, 2)\\n", "max_tokens": 32}',
          ),
          label: "the fill-in-the-middle command",
        },
      ],
    },
  ];
}

/** What to paste where, with this server's own address. */
export function ConnectGuide({ token }: { token: string }) {
  const clients = clientsOf(serverAddress(), token);
  return (
    <Surface>
      <Row>
        <Tabs defaultValue={clients[0]?.name ?? ""}>
          <Tabs.List mb="md" className="scrolling-tabs">
            {clients.map((client) => (
              <Tabs.Tab key={client.name} value={client.name}>
                {client.name}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {clients.map((client) => (
            <Tabs.Panel key={client.name} value={client.name}>
              <Stack gap="md" maw={720}>
                {client.steps.map((step) => (
                  <Stack key={step.label} gap={6}>
                    <Text size="sm">{step.words}</Text>
                    <CodeBlock text={step.text} label={step.label} />
                  </Stack>
                ))}
              </Stack>
            </Tabs.Panel>
          ))}
        </Tabs>
      </Row>
    </Surface>
  );
}
