/**
 * The file of the service's secrets: one a line, newest first. The one that stands alone on its line is current; before the
 * others stands what they are good for ({@linkcode SecretUse}).
 */
import { randomBytes } from "node:crypto";
import { readSecretFile, replaceFile } from "./config.ts";
import { SetupError } from "./error.ts";
import { type KeptSecret, Secrets, type SecretUse } from "./secrets.ts";

const LINE = /^(?:(next|old|pepper) )?([0-9a-f]{64})(?: (\S+))?$/i;

/** @throws {SetupError} naming the file and the line */
function parse(path: string, text: string): KeptSecret[] {
  const kept = text.trimEnd().split("\n").map((line, i): KeptSecret => {
    const match = LINE.exec(line.trim());
    if (!match) throw new SetupError(`${path} must hold 64 hex digits on line ${i + 1}.`);
    const [, use = "current", hex, until] = match;
    return { use: use as SecretUse, master: Uint8Array.fromHex(hex), until };
  });
  if (kept.filter(({ use }) => use === "current").length !== 1) {
    throw new SetupError(`${path} must hold one secret that stands alone on its line.`);
  }
  return kept;
}

const lineOf = ({ use, master, until }: KeptSecret) =>
  [...use === "current" ? [] : [use], master.toHex(), ...until ? [until] : []].join(" ");

/** @throws {SetupError} where it is missing or wrong, or others may read it */
export const readSecretLines = async (path: string): Promise<KeptSecret[]> =>
  parse(path, await readSecretFile(path));

/**
 * The secrets of a file, which is read again when it has changed.
 *
 * @throws {SetupError} where it is missing or wrong, or others may read it
 */
export const readSecrets = async (path: string): Promise<Secrets> =>
  new Secrets(await readSecretLines(path), () => {
    try {
      return parse(path, Deno.readTextFileSync(path));
    } catch (error) {
      throw error instanceof SetupError
        ? error
        : new SetupError(`${path} cannot be read: ${(error as Error).message}`);
    }
  });

export const writeSecretLines = (path: string, kept: readonly KeptSecret[]): Promise<void> =>
  replaceFile(path, kept.map((each) => `${lineOf(each)}\n`).join(""));

/**
 * The file's lines with a new secret that instances can read from now on, and use later. It stands first: the last line is
 * the oldest secret's, which PINs that name none and a log without a key of its own go by.
 */
export const withNext = (kept: readonly KeptSecret[]): KeptSecret[] => [
  { use: "next", master: new Uint8Array(randomBytes(32)) },
  ...kept,
];

/** The file's lines when the first secret is the current one. */
export const withNextInUse = (kept: readonly KeptSecret[], until: Date): KeptSecret[] =>
  kept.map((each, i) => {
    if (i === 0) return { ...each, use: "current" };
    return each.use === "pepper" ? each : { ...each, use: "old", until: until.toISOString() };
  });

/** The file's lines when old secrets are good for PINs alone. */
export const withoutOld = (kept: readonly KeptSecret[]): KeptSecret[] =>
  kept.map(({ use, master }) => ({ use: use === "old" ? "pepper" : use, master }));
