import { useSyncExternalStore } from "react";
import type { Problem } from "./problem";
import { sendFile } from "./sendFile";
import { remainingSeconds, UploadSpeed } from "./uploadSpeed";

export interface Upload {
  /** The list that shows it. */
  list: string;
  file: File;
  title: string;
  /** Said when it failed, before the reason. */
  failure: string;
  url: string;
  onTaken: () => Promise<void>;
  /** What is said when it was taken, until it is dismissed; "" when its list shows that itself. */
  taken: string;
}

/** `checking`: all bytes have gone, and the server looks at them. */
export type UploadStatus = "waiting" | "sending" | "checking" | "taken" | "failed";

export interface UploadState extends Upload {
  id: number;
  status: UploadStatus;
  sentBytes: number;
  bytesPerSecond: number | null;
  remainingSeconds: number | null;
  problem: Problem | null;
}

// They live outside of the pages: a look at another page must not end an upload.
let uploads: readonly UploadState[] = [];
let numStarted = 0;
const listeners = new Set<() => void>();
const cancels = new Map<number, () => void>();

const isUnderWay = ({ status }: UploadState) => status !== "failed" && status !== "taken";

function change(next: readonly UploadState[]) {
  uploads = next;
  // The browser asks whether to leave while something would be lost by it.
  window.onbeforeunload = uploads.some(isUnderWay) ? (event) => event.preventDefault() : null;
  for (const listener of listeners) {
    listener();
  }
}

const set = (id: number, changes: Partial<UploadState>) =>
  change(uploads.map((upload) => (upload.id === id ? { ...upload, ...changes } : upload)));

/** Uploads of a list that are under way, or that a person has not dismissed. */
export function useUploads(list: string): UploadState[] {
  const all = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => uploads,
  );
  return all.filter((upload) => upload.list === list);
}

/** Files are sent one after the other, so that the first is there soon. */
export function upload(files: Upload[]): void {
  const added = files.map((file): UploadState => {
    numStarted += 1;
    return {
      ...file,
      id: numStarted,
      status: "waiting",
      sentBytes: 0,
      bytesPerSecond: null,
      remainingSeconds: null,
      problem: null,
    };
  });
  change([...uploads, ...added]);
  next();
}

/** Ends an upload, or forgets one that has ended. */
export function dropUpload(id: number): void {
  cancels.get(id)?.();
  change(uploads.filter((upload) => upload.id !== id));
  next();
}

export function retryUpload(id: number): void {
  set(id, { status: "waiting", sentBytes: 0, problem: null });
  next();
}

function next() {
  const isBusy = uploads.some(({ status }) => status === "sending" || status === "checking");
  const waiting = uploads.find(({ status }) => status === "waiting");
  if (waiting && !isBusy) {
    void send(waiting);
  }
}

async function send(upload: UploadState) {
  const { id, file, url } = upload;
  const speed = new UploadSpeed();
  speed.mark(0, performance.now());
  set(id, { status: "sending" });
  const sending = sendFile(url, file, (sentBytes) => {
    speed.mark(sentBytes, performance.now());
    set(id, {
      status: sentBytes < file.size ? "sending" : "checking",
      sentBytes,
      bytesPerSecond: speed.bytesPerSecond,
      remainingSeconds: remainingSeconds(sentBytes, file.size, speed.bytesPerSecond),
    });
  });
  cancels.set(id, sending.cancel);
  const problem = await sending.done.then(
    () => null,
    (reason: Problem) => reason,
  );
  cancels.delete(id);
  if (problem) {
    set(id, { status: "failed", problem });
  } else {
    await upload.onTaken();
    set(id, { status: "taken" });
    change(uploads.filter((each) => each.id !== id || each.taken));
  }
  next();
}
