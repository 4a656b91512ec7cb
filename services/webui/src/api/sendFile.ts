import { place } from "../place";
import { queryClient, type Session, sessionKey } from "./client";
import { Problem, problemOf } from "./problem";

interface Sending {
  /** The parsed answer. */
  done: Promise<unknown>;
  cancel: () => void;
}

const CUT_OFF =
  "The connection ended before the file was there. Nothing was kept: send it once more.";

/**
 * Sends a file as the body of a POST. `report` hears how many bytes have gone. By XMLHttpRequest, as fetch
 * does not tell that. Rejects with a Problem, whose status is 0 when it was cancelled or cut off.
 */
export function sendFile(path: string, file: File, report: (sentBytes: number) => void): Sending {
  const request = new XMLHttpRequest();
  request.open("POST", place + path);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  const session = queryClient.getQueryData<Session | null>(sessionKey);
  if (session) {
    request.setRequestHeader("X-CSRF-Token", session.csrf_token);
  }
  const done = new Promise<unknown>((resolve, reject) => {
    request.upload.onprogress = (event) => report(event.loaded);
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status === 401) {
        queryClient.setQueryData(sessionKey, null);
      }
      if (request.status >= 200 && request.status < 300) {
        resolve(body);
      } else {
        reject(problemOf(request.status, body));
      }
    };
    request.onerror = () => reject(new Problem(CUT_OFF, 0));
    request.onabort = () => reject(new Problem("It was cancelled.", 0, "cancelled"));
    request.send(file);
  });
  return { done, cancel: () => request.abort() };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
