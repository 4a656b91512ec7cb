// A browser allows six connections to a server: pages that nobody looks at must not hold them.
const HIDDEN_MS = 30_000;

/**
 * Opens now, closes when nobody has looked at the page for a while, and opens again when somebody
 * does or the device is back on line. `open` is called again while it is open. Returns the end of it.
 */
export function whileVisible(open: () => void, close: () => void): () => void {
  let timer: number | undefined;
  let isOpen = true;

  function followVisibility() {
    window.clearTimeout(timer);
    if (document.hidden) {
      timer = window.setTimeout(() => {
        isOpen = false;
        close();
      }, HIDDEN_MS);
    } else if (!isOpen) {
      isOpen = true;
      open();
    }
  }

  function followNetwork() {
    if (isOpen) {
      open();
    }
  }

  open();
  document.addEventListener("visibilitychange", followVisibility);
  window.addEventListener("online", followNetwork);
  return () => {
    window.clearTimeout(timer);
    close();
    document.removeEventListener("visibilitychange", followVisibility);
    window.removeEventListener("online", followNetwork);
  };
}
