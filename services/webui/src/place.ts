/**
 * What stands before every path of this server, such as "/hearth" behind a proxy; "" for nothing.
 * The server writes it into index.html. Without a document, in tests, there is none.
 */
export const place = placeOf(
  globalThis.document?.querySelector('meta[name="hearth-place"]')?.getAttribute("content") ?? "/",
);

/** `content` is "./" in a page that nothing was written into. */
export function placeOf(content: string): string {
  return content.replace(/^\./, "").replace(/\/$/, "");
}

/** Where the address bar should be: below `place`, also for who came past the proxy. */
export function pathBelow(path: string, base: string): string {
  return `${path}/`.startsWith(`${base}/`) ? path : base + path;
}

/** The whole address of this server, as clients are to be given it. */
export const serverAddress = (): string => window.location.origin + place;
