/** Listening on an address of the configuration. */
import { SetupError } from "./error.ts";

export interface Address {
  hostname: string;
  /** 0: any that is free. */
  port: number;
}

/**
 * Serves HTTP.
 *
 * @param setting which of the configuration has the address
 * @throws {SetupError} where it cannot listen there
 */
export function listen(
  { hostname, port }: Address,
  setting: string,
  handler: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, onListen() {} }, handler);
  } catch (error) {
    const change = `change "${setting}" in the configuration.`;
    throw new SetupError(
      error instanceof Deno.errors.AddrInUse
        ? `Another program listens on ${hostname}:${port}. Stop it, or ${change}`
        : `Cannot listen on ${hostname}:${port}: ${(error as Error).message}. C${change.slice(1)}`,
    );
  }
}
