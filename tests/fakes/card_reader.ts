/**
 * Two card readers in software: pcscd with vpcd, in mount and network namespaces of their own, because the service's
 * paths and vpcd's port are fixed. That needs root, and leaves nothing behind.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HOST_COMMAND, type TestKey } from "./pkcs11_tokens.ts";

const CARD = fileURLToPath(new URL("./piv_card.ts", import.meta.url));

export interface CardReader {
  /** Starts a program that sees these readers. */
  wrapper: string[];
  /** Starts the child of a driver that sees them. */
  command: string[];
  /**
   * Puts a card into a reader.
   *
   * @param leaveAt at this instruction it is pulled out again (piv_card.ts)
   * @returns resolves once it is out
   */
  insert(key: TestKey, to?: { reader?: 0 | 1; leaveAt?: string }): Promise<unknown>;
  /** Pulls out all cards. */
  remove(): Promise<void>;
  /** What the PINs were that cards were given so far: `right` or `wrong`. */
  pins(): string[];
  /** Ends the service. */
  stop(): Promise<void>;
  /** Ends all. */
  close(): Promise<void>;
}

/** @param dir an empty folder, or one without a file `pins` */
export async function cardReader(dir: string): Promise<CardReader> {
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
  const cards: Deno.ChildProcess[] = [];
  const end = async (program: Deno.ChildProcess, signal: Deno.Signal) => {
    try {
      program.kill(signal);
    } catch {
      // It has ended by itself.
    }
    await program.status;
  };
  const remove = async () => {
    await Promise.all(cards.splice(0).map((card) => end(card, "SIGKILL")));
  };
  const stop = () => end(daemon, "SIGTERM");
  const reader: CardReader = {
    wrapper: inside,
    command: [...inside, ...HOST_COMMAND],
    insert({ keyDer, certificateDer }, { reader = 0, leaveAt } = {}) {
      const deno = [Deno.execPath(), "run", "-A", "--no-check", CARD];
      const card = [keyDer, certificateDer, log, `${reader}`, ...leaveAt ? [leaveAt] : []];
      const [command, ...args] = [...inside, ...deno, ...card];
      const program = new Deno.Command(command, { args, stdin: "null", stdout: "null" }).spawn();
      cards.push(program);
      return program.status;
    },
    remove,
    pins: () => Deno.readTextFileSync(log).split("\n").filter(Boolean),
    stop,
    async close() {
      await remove();
      await stop();
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
