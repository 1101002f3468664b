/** Finding the signer program from a web page, and why it is not found: browsers do not say, but they leave traces. */
import type { Status } from "../../protocol/methods.ts";
import { endingWith } from "./calls.ts";

/** Milliseconds for one port to answer, unless the browser is asking the person for permission meanwhile. */
const PROBE_TIMEOUT = 3000;

/** Milliseconds after which a probe that hangs is taken for the browser asking the person. */
const PROMPT_NOTICE = 400;

/** Chromium split the first name into the second. */
const PERMISSIONS = ["loopback-network", "local-network-access"];

/** Why the signer program cannot be reached. */
export type Obstacle =
  | "not_installed"
  | "cannot_tell"
  | "permission_denied"
  | "frame";

/** The browser's permission for loopback access; null if it has no such permission. */
export async function loopbackPermission(): Promise<PermissionState | null> {
  for (const name of PERMISSIONS) {
    try {
      return (await navigator.permissions.query({ name: name as PermissionName })).state;
    } catch {
      // This browser does not know the name.
    }
  }
  return null;
}

/** The obstacle, if no port answered. */
export async function obstacle(): Promise<Obstacle> {
  // Local Network Access is for frames only where the embedding page allows it.
  const { featurePolicy } = globalThis.document as unknown as {
    featurePolicy?: { features(): string[]; allowsFeature(name: string): boolean };
  } ?? {};
  const isWithheld = PERMISSIONS.some((name) =>
    featurePolicy?.features().includes(name) && !featurePolicy.allowsFeature(name)
  );
  if (isWithheld) return "frame";
  switch (await loopbackPermission()) {
    case "denied":
      return "permission_denied";
    case null:
      // WebKit lets https pages reach only what has TLS, and hides whether nothing answers or the certificate is not trusted.
      return globalThis.navigator?.vendor?.startsWith("Apple") ? "cannot_tell" : "not_installed";
    default:
      return "not_installed";
  }
}

/**
 * `GET /status`; null if no signer program answers.
 *
 * @param base as in `http://127.0.0.1:7791`
 * @param prompted called when the browser seems to ask the person for permission
 */
export async function probe(
  base: string,
  signal?: AbortSignal,
  prompted?: () => void,
): Promise<Status | null> {
  const patience = endingWith(signal);
  const notice = setTimeout(async () => {
    if (await loopbackPermission() === "prompt" && !patience.signal.aborted) prompted?.();
  }, PROMPT_NOTICE);
  const timer = setTimeout(async () => {
    // While the browser shows its question, the request hangs, and the person may take the time they need.
    if (await loopbackPermission() !== "prompt") patience.abort();
  }, PROBE_TIMEOUT);
  try {
    const response = await fetch(`${base}/status`, {
      cache: "no-store",
      credentials: "omit",
      signal: patience.signal,
    });
    const status = await response.json();
    return status?.name === "dsign" ? status : null;
  } catch {
    return null; // refused, blocked, not trusted or not ours: the browser does not say which
  } finally {
    patience.abort();
    clearTimeout(notice);
    clearTimeout(timer);
  }
}

/** A WebSocket to the signer program; null if the browser refuses it. */
export function open(url: string, signal?: AbortSignal): Promise<WebSocket | null> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    signal?.addEventListener("abort", () => socket.readyState || socket.close());
    socket.onopen = () => resolve(socket);
    socket.onerror = socket.onclose = () => resolve(null);
  });
}
