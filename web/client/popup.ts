/** Connecting where the browser keeps pages from reaching the signer program. */
import { openBridge } from "./bridge.ts";
import type { Client } from "./client.ts";
import { connect, type ConnectOptions } from "./connect.ts";

/**
 * Connects through a window of the signer program's own, where the browser keeps pages from reaching it. Call it in the
 * person's click, before anything is waited for; else the browser lets no window open. The window stays open for as
 * long as the connection, and only relays. Pages with `Cross-Origin-Opener-Policy: same-origin` cannot use it:
 * `same-origin-allow-popups` is for them.
 *
 * @throws {DsignClientError} as {@linkcode connect}, and `user_cancelled` if the person closed the window
 */
export function connectByPopup(options: ConnectOptions = {}): Promise<Client> {
  // Its types are for pages, and do not show the second parameter.
  const by = connect as (options: ConnectOptions, bridge: typeof openBridge) => Promise<Client>;
  return by(options, openBridge);
}
