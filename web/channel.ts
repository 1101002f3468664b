/** Carries the frames: a WebSocket, or the popup bridge. */
export type Channel = Pick<WebSocket, "onmessage" | "onclose" | "send" | "close">;
