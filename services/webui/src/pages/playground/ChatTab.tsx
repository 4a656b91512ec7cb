import { Alert, Button, Group, Stack, Textarea } from "@mantine/core";
import { IconMessage, IconPlayerStop, IconSend2 } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { type ChatMessage, streamChat } from "../../api/generation";
import { EmptyState } from "../../parts/EmptyState";
import classes from "./ChatTab.module.css";
import { Outcome } from "./Outcome";
import type { Parameters } from "./parameters";
import { useGeneration } from "./useGeneration";

interface ChatTabProps {
  parameters: Parameters;
  model: string;
  hindrance: string | null;
}

export function ChatTab({ parameters, model, hindrance }: ChatTabProps) {
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
    const asked: ChatMessage[] = [...messages, { role: "user", content }];
    setMessages(asked);
    setDraft("");
    const request = {
      model,
      messages: asked,
      max_tokens: parameters.maxTokens,
      temperature: parameters.temperature,
    };
    const answer = await start((signal) => streamChat(request, signal));
    if (answer.text) {
      setMessages([...asked, { role: "assistant", content: answer.text }]);
    } else if (answer.status !== "done") {
      // Nothing was said: the question goes back where it can be sent again.
      setMessages(messages);
      setDraft(content);
    }
  }

  return (
    <Stack gap="md">
      <ChatLog messages={shown} />
      {generation && <Outcome generation={generation} />}
      {hindrance && <Alert color="blue">{hindrance}</Alert>}
      <Textarea
        label="Message"
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
        {busy ? (
          <Button
            variant="default"
            leftSection={<IconPlayerStop size={16} aria-hidden />}
            onClick={cancel}
          >
            Stop
          </Button>
        ) : (
          <Button
            leftSection={<IconSend2 size={16} aria-hidden />}
            onClick={() => void send()}
            disabled={hindrance !== null || !draft.trim()}
          >
            Send
          </Button>
        )}
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

function ChatLog({ messages }: { messages: ChatMessage[] }) {
  const log = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown is the cause
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [messages]);
  return (
    <div className={classes.log} ref={log} role="log" aria-label="Conversation">
      {messages.length === 0 && (
        <EmptyState icon={<IconMessage />} title="Nothing was said yet">
          Small models answer briefly, and sometimes beside the point.
        </EmptyState>
      )}
      {messages.map((message, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: messages are only ever added at the end
          key={index}
          className={`${classes.message} ${classes[message.role]}`}
        >
          {message.content}
        </div>
      ))}
    </div>
  );
}
