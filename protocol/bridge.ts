/**
 * The popup bridge: a window of the agent's own page that relays between a site and the agent, where the browser keeps
 * the site from reaching the agent itself. Spoken between the site (web/client.ts), the window (web/bridge/) and the
 * agent:
 *
 * - The site opens `/bridge`. The window posts {@linkcode BridgeHello} to its opener.
 * - The site posts {@linkcode BridgeRequest}. Whatever it may say about itself, the window goes by the origin that the
 *   browser attests (`MessageEvent.origin`).
 * - The window connects to `/bridge?origin=ORIGIN`, which the agent lets its own pages alone do, and hands a
 *   `MessagePort` to that origin with {@linkcode BridgeReply}.
 * - Through the port go the frames of the contract as they are: a string is a text frame, an ArrayBuffer (transferred) a
 *   binary one. What else the window has to tell is a {@linkcode BridgeNote}.
 *
 * The window only relays. Whoever opened it can move, resize and scroll it; the agent asks the person in a window that
 * no page opened.
 */
import type { Status } from "./methods.ts";

/** To the opener, whoever it is: it holds nothing that `/status` does not tell everybody. */
export interface BridgeHello {
  dsign: "hello";
  status: Status;
}

export interface BridgeRequest {
  dsign: "connect";
}

/** With the port, or without one where the agent does not accept the origin. */
export interface BridgeReply {
  dsign: "connected" | "refused";
}

/** The connection has ended. */
export type BridgeNote = { note: "closed" };
