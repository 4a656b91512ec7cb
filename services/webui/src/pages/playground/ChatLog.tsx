import { IconMessage } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import type { ChatMessage } from "../../api/generation";
import { EmptyState } from "../../parts/EmptyState";
import { Answer } from "./Answer";
import classes from "./ChatLog.module.css";

export function ChatLog({ messages }: { messages: ChatMessage[] }) {
  const log = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown is the cause
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [messages]);
  return (
    <div className={classes.log} ref={log} role="log" aria-label="Conversation">
      {messages.length === 0 && (
        <div className={classes.empty}>
          <EmptyState icon={<IconMessage />} title="Nothing was said yet">
            Small models answer briefly, and sometimes beside the point.
          </EmptyState>
        </div>
      )}
      {messages.map((message, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: messages are only ever added at the end
          key={index}
          className={`${classes.message} ${classes[message.role]}`}
        >
          {message.role === "assistant" ? <Answer text={message.content} /> : message.content}
        </div>
      ))}
    </div>
  );
}
