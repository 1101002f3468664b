/** A log's state, signed (c2sp.org/tlog-checkpoint), and proofs that a leaf stands in it (c2sp.org/tlog-proof). */
import { FormatError } from "../error.ts";
import { type NoteKey, type NoteSignature, openNote } from "./note.ts";
import { leafHash, verifyInclusion } from "./tree.ts";

export interface Checkpoint {
  /** The log's name, which is that of its key too. */
  origin: string;
  /** Number of leaves. */
  size: number;
  root: Uint8Array;
}

const malformed = (what: string) => new FormatError("log_malformed", what);
const NUMBER = "(0|[1-9]\\d{0,14})";
const HASH = "[A-Za-z0-9+/]{43}=";

/** The text to sign. */
export const formatCheckpoint = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${root.toBase64()}\n`;

/**
 * Reads a signed checkpoint.
 *
 * @param key the log's
 * @param witnesses keys whose cosignatures are looked for; none is needed
 * @throws {FormatError} `log_malformed` where it is none, or not signed by that key
 */
export function readCheckpoint(
  note: string,
  key: NoteKey,
  witnesses: readonly NoteKey[] = [],
): Checkpoint & { witnesses: NoteSignature[] } {
  const { text, signatures } = openNote(note, [key, ...witnesses]);
  if (!signatures.some((each) => each.key === key)) {
    throw malformed("The checkpoint is not signed by the log's key.");
  }
  const match = new RegExp(`^([^\\n]+)\\n${NUMBER}\\n(${HASH})\\n`).exec(text);
  if (!match || match[1] !== key.name) throw malformed("Not a checkpoint of this log.");
  return {
    origin: match[1],
    size: Number(match[2]),
    root: Uint8Array.fromBase64(match[3]),
    witnesses: signatures.filter((each) => each.key !== key),
  };
}

/**
 * As {@linkcode readCheckpoint}, of a log whose key was another one before.
 *
 * @param keys the first of them that signed it counts
 */
export function readCheckpointByAny(note: string, keys: readonly NoteKey[]): Checkpoint {
  const { signatures: [{ key }] } = openNote(note, keys);
  return readCheckpoint(note, key);
}

/** A leaf's line, its place, and the checkpoint under which it stands. */
export interface Receipt {
  /** Preimage of the leaf: SHA-256 of it is what the log holds. */
  line: string;
  index: number;
  proof: readonly Uint8Array[];
  /** Signed. */
  checkpoint: string;
}

const HEAD = "c2sp.org/tlog-proof@v1";

export function formatReceipt({ line, index, proof, checkpoint }: Receipt): string {
  const extra = new TextEncoder().encode(line).toBase64();
  const hashes = proof.map((each) => `${each.toBase64()}\n`).join("");
  return `${HEAD}\nextra ${extra}\nindex ${index}\n${hashes}\n${checkpoint}`;
}

/**
 * Reads a receipt and checks it: the line stands in the log of this key.
 *
 * @param entryOf what the log holds for a line
 * @throws {FormatError} `log_malformed` where it is none, or does not prove it
 */
export function verifyReceipt(
  text: string,
  key: NoteKey,
  entryOf: (line: string) => Uint8Array,
): Receipt & { size: number } {
  const form = new RegExp(
    `^${HEAD}\\nextra ([A-Za-z0-9+/]*={0,2})\\nindex ${NUMBER}\\n((?:${HASH}\\n){0,63})\\n`,
  );
  const match = form.exec(text);
  if (!match) throw malformed("Not a receipt.");
  let line;
  try {
    line = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(match[1]));
  } catch {
    throw malformed("Not a receipt: its line cannot be read.");
  }
  const index = Number(match[2]);
  const proof = match[3].split("\n").filter(Boolean).map((each) => Uint8Array.fromBase64(each));
  const checkpoint = text.slice(match[0].length);
  const { size, root } = readCheckpoint(checkpoint, key);
  const hash = leafHash(entryOf(line));
  if (!verifyInclusion({ index, size, hash, proof, root })) {
    throw malformed("The receipt's line does not stand in the log.");
  }
  return { line, index, proof, checkpoint, size };
}
