/**
 * The key that signs the audit's checkpoints: an Ed25519 seed (RFC 8032 §5.1.5) in a file, 64 hex digits, shared by all
 * instances and apart from the service's secret, so that a thief of the secret and the database cannot write another log. While
 * it is rotated, `next` stands before the one that signs too; `old`, later `retired`, before the public keys of those that
 * signed before ({@linkcode NoteSigner}).
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
  retired: string[];
}

async function readLines(path: string): Promise<Lines> {
  const lines = (await readSecretFile(path)).split("\n").map((line) => line.trim());
  const seeds = lines.flatMap((line) => {
    const [, next, hex] = SEED.exec(line) ?? [];
    return hex ? [{ next, seed: Uint8Array.fromHex(hex) }] : [];
  });
  const keysAfter = (word: string) =>
    lines.flatMap((line) => line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []);
  const [old, retired] = [keysAfter("old"), keysAfter("retired")];
  const [alone, nexts] = [false, true].map((isNext) =>
    seeds.filter(({ next }) => !!next === isNext)
  );
  const isWhole = seeds.length + old.length + retired.length === lines.length;
  if (!isWhole || alone.length !== 1 || nexts.length > 1) {
    throw new SetupError(`${path} must hold 64 hex digits on one line.`);
  }
  return { seed: alone[0].seed, next: nexts[0]?.seed, old, retired };
}

const write = (path: string, { seed, next, old, retired }: Lines) =>
  replaceFile(
    path,
    [
      seed.toHex(),
      ...next ? [`next ${next.toHex()}`] : [],
      ...old.map((key) => `old ${key}`),
      ...retired.map((key) => `retired ${key}`),
      "",
    ].join("\n"),
  );

/**
 * @param origin the log's name, as `sign.example/log`
 * @throws {SetupError} where the file is missing or wrong, or others may read it
 */
export async function readLogSigner(path: string, origin: string): Promise<NoteSigner> {
  const { seed, next, old, retired } = await readLines(path);
  try {
    const earlier = { old: old.map(readNoteKey), retired: retired.map(readNoteKey) };
    const signer = { ...noteSigner(origin, seed), ...earlier };
    return next ? signedByBoth(signer, noteSigner(origin, next)) : signer;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new SetupError(`${path}: ${error.message}`);
  }
}

/** Writes down a step of a rotation, with the key that it is about, before the file is changed. */
export type Noted = (key: string) => Promise<void>;

/**
 * Adds a key that signs beside the present one; where there is one, nothing.
 *
 * @returns the new public key, for those who verify
 * @throws {SetupError}
 */
export async function prepareLogKey(path: string, origin: string, noted: Noted): Promise<string> {
  const lines = await readLines(path);
  const next = lines.next ?? new Uint8Array(randomBytes(32));
  const key = formatNoteKey(noteSigner(origin, next).key);
  await noted(key);
  await write(path, { ...lines, next });
  return key;
}

/** Makes the next key the only one that signs. @throws {SetupError} where there is none */
export async function useNextLogKey(path: string, origin: string, noted: Noted): Promise<string> {
  const { seed, next, old, retired } = await readLines(path);
  if (!next) throw new SetupError(`${path} has no next key: --prepare one first.`);
  const [before, key] = [seed, next].map((each) => formatNoteKey(noteSigner(origin, each).key));
  await noted(key);
  await write(path, { seed: next, old: [before, ...old], retired });
  return key;
}

/** Nothing counts by the keys of before but what was filed. @throws {SetupError} where there is none */
export async function retireLogKeys(path: string, origin: string, noted: Noted): Promise<string> {
  const { seed, next, old, retired } = await readLines(path);
  if (next) throw new SetupError(`The next key of ${path} is not in use: --use it first.`);
  if (old.length === 0) throw new SetupError(`${path} has no old key.`);
  const key = formatNoteKey(noteSigner(origin, seed).key);
  await noted(key);
  await write(path, { seed, old: [], retired: [...old, ...retired] });
  return key;
}

/**
 * Gives a log whose key was derived from the secret a file with that key, so that it can be rotated; a file of an attempt that
 * was interrupted is used again.
 *
 * @throws {SetupError} where another file is there
 */
export async function writeDerivedLogKey(path: string, seed: Uint8Array): Promise<void> {
  try {
    await Deno.writeTextFile(path, `${seed.toHex()}\n`, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if ((await readLines(path)).seed.toHex() !== seed.toHex()) {
      throw new SetupError(`${path} exists already, with another key. Move it away.`);
    }
  }
}
