/** Carries the frames: a WebSocket, or the popup bridge. */
export type Channel = Pick<WebSocket, "onmessage" | "onclose" | "send" | "close">;

/** The agent at the other end. */
export interface Agent {
  /** P-256, the uncompressed point, Base64; another one for every site. */
  key: string;
  /**
   * - `pinned`: this site knew it before, from a grant that the person gave.
   * - `listed`: its key is one of `agentKeys`.
   * - `first_use`: this browser knows no agent of this site, so this could be any. So it is in a private window, and after
   *   the site's data were cleared.
   * - `trial`: a `dsign trial`, asked for by its port.
   */
  trust: "pinned" | "listed" | "first_use" | "trial";
}
