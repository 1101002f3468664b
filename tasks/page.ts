/** A web page as the agent sees it, without a browser: the SDK over a WebSocket that names an origin. */
import { type Status } from "../protocol/methods.ts";
import { Client } from "../web/client.ts";

export type { BatchOutcome } from "../web/client.ts";

/**
 * Connects to an agent on a loopback port as a page of `origin` would.
 *
 * @throws {Error} if nothing answers, or the agent refuses the origin
 */
export async function connectAs(origin: string, port: number): Promise<Client> {
  const response = await fetch(`http://127.0.0.1:${port}/status`);
  const status: Status = await response.json();
  // Deno's own second parameter, which the browsers' type does not know
  const options = { headers: { origin } } as unknown as string[];
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, options);
  socket.binaryType = "arraybuffer";
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`The agent refused a page of ${origin}.`));
  });
  return new Client(socket, status);
}
