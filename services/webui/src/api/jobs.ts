const OPEN = new Set(["queued", "running"]);

/** Whether a job of this status will still change by itself. */
export const isOpen = (status: string): boolean => OPEN.has(status);
