/** Connecting where the browser keeps pages from reaching the signer program. */
import { judge } from "./agent_key.ts";
import { openBridge } from "./bridge.ts";
import { Client } from "./client.ts";
import {
  checkUse,
  type ConnectOptions,
  isOther,
  knownKeys,
  PORTS,
  problemOf,
  protocolProblem,
  withGrant,
} from "./connect.ts";
import { failed } from "./errors.ts";

/**
 * Connects through a window of the signer program's own, where the browser keeps pages from reaching it. Call it in the
 * person's click, before anything is waited for; else the browser lets no window open. The window stays open for as
 * long as the connection, and only relays. Pages with `Cross-Origin-Opener-Policy: same-origin` cannot use it:
 * `same-origin-allow-popups` is for them.
 *
 * @throws {DsignClientError} as {@linkcode connect}, and `user_cancelled` if the person closed the window
 */
export async function connectByPopup(options: ConnectOptions = {}): Promise<Client> {
  checkUse(options);
  const { signal, trial } = options;
  const ports = trial ? [trial] : options.ports ?? PORTS;
  let trouble: ReturnType<typeof problemOf> | undefined;
  let client: Client;
  const bridge = await openBridge(
    ports,
    (status) => {
      if (isOther(status, options)) return false;
      const problem = protocolProblem(status);
      if (problem) trouble = problem;
      return !problem;
    },
    async ({ channel, status }, port) => {
      client = new Client(channel, status, options.messages);
      const judged = await judge(client, port, await knownKeys(options, false), signal);
      if (typeof judged !== "object") {
        trouble = problemOf(judged);
        return false;
      }
      client.agent = trial ? { key: judged.key, trust: "trial" } : judged;
      return true;
    },
    signal,
  );
  if (signal?.aborted) throw failed("request_cancelled", options);
  switch (bridge) {
    case "blocked":
      throw failed("no_window", options);
    case "silent":
      throw failed(trouble ?? "not_installed", options);
    case "closed":
      throw failed("window_closed", options);
    case "refused":
      throw failed("page_refused", options);
  }
  return await withGrant(client!, options);
}
