/** TLS that demands a certificate of the other side (`openssl s_server`), in front of our service, which speaks plain HTTP. */
import { join } from "node:path";
import { freePort } from "../fixtures/free_port.ts";
import type { Party } from "../fixtures/issue.ts";
import { pem } from "../../formats/asn1/pem.ts";

/**
 * Serves one connection after those that come to nothing.
 *
 * @param dir for its files
 * @param target port of the service on the loopback address
 * @param identity certificate and key of the front
 * @param clients who issues the certificates that are let in
 */
export async function tlsFront(
  dir: string,
  target: number,
  identity: Party,
  clients: Party,
): Promise<AsyncDisposable & { port: number }> {
  const port = freePort();
  const cert = pem("CERTIFICATE", identity.certificate.der);
  await Deno.writeTextFile(join(dir, "front.pem"), cert + pem("PRIVATE KEY", identity.pkcs8));
  await Deno.writeTextFile(join(dir, "clients.pem"), pem("CERTIFICATE", clients.certificate.der));
  const server = new Deno.Command("openssl", {
    args: [
      ...["s_server", "-quiet", "-accept", `127.0.0.1:${port}`],
      ...["-cert", join(dir, "front.pem"), "-CAfile", join(dir, "clients.pem")],
      ...["-Verify", "1", "-verify_return_error"],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  for (let left = 200;; left--) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
  const plain = await Deno.connect({ hostname: "127.0.0.1", port: target });
  // either side may end first
  const passed = Promise.allSettled([
    server.stdout.pipeTo(plain.writable),
    plain.readable.pipeTo(server.stdin),
  ]);
  return {
    port,
    async [Symbol.asyncDispose]() {
      try {
        server.kill("SIGTERM");
      } catch { /* it has ended by itself */ }
      await Promise.all([server.status, passed]);
    },
  };
}
