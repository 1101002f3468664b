/**
 * The key that signs the audit's checkpoints: an Ed25519 seed (RFC 8032 §5.1.5) in a file, 64 hex digits, shared by all
 * instances and apart from the service's secret, so that a thief of the secret and the database cannot write another log. While
 * it is rotated, `next` stands before the one that signs too; `old` before the public keys of those that signed before.
 */
import { randomBytes } from "node:crypto";
import {
  formatNoteKey,
  type NoteSigner,
  noteSigner,
  readNoteKey,
  signedByBoth,
} from "../formats/log/note.ts";
import { FormatError } from "../formats/error.ts";
import { readSecretFile, replaceFile } from "./config.ts";
import { SetupError } from "./error.ts";

const SEED = /^(next )?([0-9a-f]{64})$/i;

interface Lines {
  seed: Uint8Array;
  next?: Uint8Array;
  /** As {@linkcode formatNoteKey} writes them, newest first. */
  old: string[];
}

async function readLines(path: string): Promise<Lines> {
  const lines = (await readSecretFile(path)).split("\n").map((line) => line.trim());
  const seeds = lines.flatMap((line) => {
    const [, next, hex] = SEED.exec(line) ?? [];
    return hex ? [{ next, seed: Uint8Array.fromHex(hex) }] : [];
  });
  const old = lines.flatMap((line) => line.startsWith("old ") ? [line.slice(4)] : []);
  const seed = seeds.find(({ next }) => !next)?.seed;
  if (!seed || seeds.length + old.length < lines.length) {
    throw new SetupError(`${path} must hold 64 hex digits.`);
  }
  return { seed, next: seeds.find(({ next }) => next)?.seed, old };
}

const write = (path: string, { seed, next, old }: Lines) =>
  replaceFile(
    path,
    [seed.toHex(), ...next ? [`next ${next.toHex()}`] : [], ...old.map((key) => `old ${key}`), ""]
      .join("\n"),
  );

/**
 * @param origin the log's name, as `sign.example/log`
 * @throws {SetupError} where the file is missing or wrong, or others may read it
 */
export async function readLogSigner(path: string, origin: string): Promise<NoteSigner> {
  const { seed, next, old } = await readLines(path);
  try {
    const signer = { ...noteSigner(origin, seed), others: old.map(readNoteKey) };
    return next ? signedByBoth(signer, noteSigner(origin, next)) : signer;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new SetupError(`${path}: ${error.message}`);
  }
}

/**
 * Adds a key that signs beside the present one; where there is one, nothing.
 *
 * @returns the new public key, for those who verify
 * @throws {SetupError}
 */
export async function prepareLogKey(path: string, origin: string): Promise<string> {
  const lines = await readLines(path);
  const next = lines.next ?? new Uint8Array(randomBytes(32));
  await write(path, { ...lines, next });
  return formatNoteKey(noteSigner(origin, next).key);
}

/** Makes the next key the only one that signs. @throws {SetupError} where there is none */
export async function useNextLogKey(path: string, origin: string): Promise<string> {
  const { seed, next, old } = await readLines(path);
  if (!next) throw new SetupError(`${path} has no next key: --prepare one first.`);
  const before = formatNoteKey(noteSigner(origin, seed).key);
  await write(path, { seed: next, old: [before, ...old] });
  return formatNoteKey(noteSigner(origin, next).key);
}
