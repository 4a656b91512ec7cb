import { useState } from "react";

export interface PageTokens {
  /** Of the page to show; "" for the first. */
  token: string;
  /** From 1. */
  number: number;
  goNext: (token: string) => void;
  goBack: () => void;
}

/** The way through pages of which each names the next only. It begins anew when `subject` changes. */
export function usePageTokens(subject: string): PageTokens {
  const [way, setWay] = useState({ subject, tokens: [""] });
  const tokens = way.subject === subject ? way.tokens : [""];
  return {
    token: tokens.at(-1) ?? "",
    number: tokens.length,
    goNext: (token) => setWay({ subject, tokens: [...tokens, token] }),
    goBack: () => setWay({ subject, tokens: tokens.length > 1 ? tokens.slice(0, -1) : tokens }),
  };
}
