import { Button, Group, Stack, Textarea } from "@mantine/core";
import { IconSend2 } from "@tabler/icons-react";
import { useState } from "react";
import { type ChatMessage, streamChat } from "../../api/generation";
import type { OfferedName } from "../../api/queries";
import type { Hindrance } from "../../parts/readiness";
import { ChatLog } from "./ChatLog";
import { HindranceAlert } from "./HindranceAlert";
import { Outcome } from "./Outcome";
import type { Parameters } from "./parameters";
import { RunButton } from "./RunButton";
import { ToolboxMenu } from "./ToolboxMenu";
import { useGeneration } from "./useGeneration";

interface ChatTabProps {
  parameters: Parameters;
  model: string;
  /** The model, if another server has it. */
  elsewhere: OfferedName | null;
  hindrance: Hindrance | null;
}

export function ChatTab({ parameters, model, elsewhere, hindrance }: ChatTabProps) {
  const [messages, setMessages] = useState<ChatMessage[]>([]);
  const [draft, setDraft] = useState("");
  const { generation, start, cancel, clear } = useGeneration();
  const busy = generation?.status === "running";
  const shown: ChatMessage[] =
    busy && generation.text
      ? [...messages, { role: "assistant", content: generation.text }]
      : messages;

  async function send() {
    const content = draft.trim();
    if (busy || hindrance || !content) {
      return;
    }
    setDraft("");
    if (!(await ask([...messages, { role: "user", content }]))) {
      // Nothing was said: the question goes back where it can be sent again.
      setDraft(content);
    }
  }

  /** Whether the model took it up; if not, the chat is what it was before. */
  async function ask(asked: ChatMessage[]): Promise<boolean> {
    setMessages(asked);
    const request = {
      model,
      messages: asked,
      max_tokens: parameters.maxTokens,
      temperature: parameters.temperature,
    };
    const answer = await start((signal) => streamChat(request, signal), elsewhere);
    if (answer.text) {
      setMessages([...asked, { role: "assistant", content: answer.text }]);
    } else if (answer.status !== "done") {
      setMessages(messages);
      return false;
    }
    return true;
  }

  return (
    <Stack gap="md">
      <ChatLog messages={shown} />
      {generation && <Outcome generation={generation} />}
      <HindranceAlert hindrance={hindrance} />
      <Textarea
        label="Message"
        description="Enter sends it, Shift Enter begins a new line"
        placeholder="Ask something"
        autosize
        minRows={2}
        maxRows={10}
        value={draft}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            void send();
          }
        }}
      />
      <Group gap="sm">
        <RunButton
          label="Send"
          icon={<IconSend2 size={16} aria-hidden />}
          disabled={hindrance !== null || !draft.trim()}
          busy={busy}
          onRun={() => void send()}
          onStop={cancel}
        />
        <ToolboxMenu disabled={busy || hindrance !== null} onRun={(asked) => void ask(asked)} />
        {messages.length > 0 && !busy && (
          <Button
            variant="subtle"
            color="gray"
            onClick={() => {
              setMessages([]);
              clear();
            }}
          >
            New chat
          </Button>
        )}
      </Group>
    </Stack>
  );
}
