/**
 * Two card readers in software: pcscd with vpcd, in mount and network namespaces of their own, because the service's
 * paths and vpcd's port are fixed. That needs root, and leaves nothing behind.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HOST_COMMAND, type TestKey } from "./pkcs11_tokens.ts";

const CARD = fileURLToPath(new URL("./piv_card.ts", import.meta.url));

export interface CardReader {
  /** Starts the child of a driver that sees these readers. */
  command: string[];
  /** Puts the card into the first reader. */
  insert(): void;
  /** Pulls it out. */
  remove(): Promise<void>;
  /** What the PINs were that the card was given so far: `right` or `wrong`. */
  pins(): string[];
  close(): Promise<void>;
}

export async function cardReader(dir: string, key: TestKey): Promise<CardReader> {
  const script = `
    set -e
    mount --make-rprivate /
    mount -t tmpfs tmpfs /run
    ip link set lo up
    mkdir -p /run/pcscd
    touch "$0"
    exec pcscd -f`;
  const ready = "/run/pcscd/pcscd.comm";
  const daemon = new Deno.Command("unshare", {
    args: ["--mount", "--net", "sh", "-c", script, "/run/dsign-test"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  // unshare and sh replace themselves, so this is the daemon's own number.
  const inside = ["nsenter", "--target", String(daemon.pid), "--mount", "--net", "--"];
  const log = join(dir, "pins");
  Deno.writeTextFileSync(log, "");
  let card: Deno.ChildProcess | undefined;
  const remove = async () => {
    card?.kill("SIGKILL");
    await card?.status;
    card = undefined;
  };
  const reader: CardReader = {
    command: [...inside, ...HOST_COMMAND],
    insert() {
      const program = [Deno.execPath(), "run", "-A", "--no-check", CARD];
      const [command, ...args] = [...inside, ...program, key.keyDer, key.certificateDer, log];
      card = new Deno.Command(command, { args, stdin: "null", stdout: "null" }).spawn();
    },
    remove,
    pins: () => Deno.readTextFileSync(log).split("\n").filter(Boolean),
    async close() {
      await remove();
      try {
        daemon.kill("SIGTERM");
      } catch {
        // It has ended by itself.
      }
      await daemon.status;
    },
  };
  // Until unshare has done its work these are the namespaces of the whole machine, so each try enters anew.
  const test = ["sh", "-c", `[ -e /run/dsign-test ] && [ -S ${ready} ]`];
  for (let tries = 0;; tries++) {
    const [command, ...args] = [...inside, ...test];
    if ((await new Deno.Command(command, { args, stderr: "null" }).output()).success) return reader;
    if (tries === 100) {
      await reader.close();
      throw new Error("pcscd does not start: apt-get install pcscd vsmartcard-vpcd iproute2");
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}
