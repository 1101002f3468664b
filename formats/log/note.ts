/**
 * Signed notes (c2sp.org/signed-note): a text, an empty line, and lines with signatures. A log signs its checkpoints so, and
 * witnesses add theirs (c2sp.org/tlog-cosignature).
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { concat } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";

/** Kinds of Ed25519 signatures, as the first byte of a key says. */
const PLAIN = 1;
const COSIGNATURE = 4;
/** DER before the 32 bytes of an Ed25519 key (RFC 8410 §7, §4). */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");
const SPKI = Uint8Array.fromHex("302a300506032b6570032100");

const ENCODER = new TextEncoder();
const malformed = (what: string) => new FormatError("log_malformed", what);

/** Who signs, and by which key. */
export interface NoteKey {
  name: string;
  /** Eight hex digits, of name and key. */
  id: string;
  kind: number;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

export interface NoteSigner {
  key: NoteKey;
  /** Signs too, and will take the place of `key`. */
  next?: NoteKey;
  /** Signed before this one: what one of them signed still counts, until it is signed anew. */
  old?: readonly NoteKey[];
  /** As old ones, but only what was filed elsewhere counts by them. */
  retired?: readonly NoteKey[];
  /** @returns the text with its signature below */
  sign(text: string): string;
}

export interface NoteSignature {
  key: NoteKey;
  /** Of a cosignature: seconds since 1970. */
  time?: number;
}

export interface OpenedNote {
  /** Ends in a line feed. */
  text: string;
  /** The good signatures by the keys that were given; one at least. */
  signatures: NoteSignature[];
}

/** @param name without space or plus, as `sign.example/log` */
export function noteKey(name: string, publicKey: Uint8Array, kind = PLAIN): NoteKey {
  if (!/^[^\s+]+$/.test(name) || publicKey.length !== 32) throw malformed("Not a note's key.");
  const id = digest("SHA-256", ENCODER.encode(`${name}\n`), Uint8Array.of(kind), publicKey);
  return { name, id: new Uint8Array(id).toHex().slice(0, 8), kind, publicKey };
}

/** The key as text, for who verifies: `NAME+ID+KEY`. */
export function formatNoteKey({ name, id, kind, publicKey }: NoteKey): string {
  return `${name}+${id}+${concat(Uint8Array.of(kind), publicKey).toBase64()}`;
}

/** @throws {FormatError} `log_malformed` */
export function readNoteKey(text: string): NoteKey {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim());
  const bytes = match && fromBase64(match[3]);
  if (!bytes || bytes.length !== 33 || ![PLAIN, COSIGNATURE].includes(bytes[0])) {
    throw malformed("Not the key of a log: it must be NAME+ID+KEY.");
  }
  const key = noteKey(match![1], bytes.subarray(1), bytes[0]);
  if (key.id !== match![2]) throw malformed("The key of the log does not fit its ID.");
  return key;
}

/** Signs notes with an Ed25519 key. @param seed 32 bytes */
export function noteSigner(name: string, seed: Uint8Array): NoteSigner {
  const privateKey = createPrivateKey({
    key: concat(PKCS8, seed) as never,
    format: "der",
    type: "pkcs8",
  });
  const spki = createPublicKey(privateKey as never).export({ format: "der", type: "spki" });
  const key = noteKey(name, new Uint8Array(spki).subarray(SPKI.length));
  return {
    key,
    sign(text) {
      if (!text.endsWith("\n")) throw malformed("The text must end in a line feed.");
      const signature = new Uint8Array(sign(null, ENCODER.encode(text), privateKey));
      const bytes = concat(Uint8Array.fromHex(key.id), signature);
      return `${text}\n— ${name} ${bytes.toBase64()}\n`;
    },
  };
}

/** Signs notes with both keys: readers need either. The first one is the signer's key. */
export const signedByBoth = (first: NoteSigner, second: NoteSigner): NoteSigner => ({
  ...first,
  next: second.key,
  sign: (text) => first.sign(text) + second.sign(text).slice(text.length + 1),
});

/** The keys with which a signer signs. */
export const signingKeys = ({ key, next }: NoteSigner): NoteKey[] => next ? [key, next] : [key];

/**
 * Checks a note.
 *
 * @throws {FormatError} `log_malformed` where it is no note, a signature by one of the keys is not good, or there is none
 */
export function openNote(note: string, keys: readonly NoteKey[]): OpenedNote {
  // deno-lint-ignore no-control-regex -- what a note may not hold
  if (/[\x00-\x09\x0b-\x1f]/.test(note)) {
    throw malformed("Not a note: it holds control characters.");
  }
  const at = note.lastIndexOf("\n\n");
  if (at < 0 || !note.endsWith("\n")) throw malformed("Not a signed note.");
  const text = note.slice(0, at + 1);
  const signatures: NoteSignature[] = [];
  for (const line of note.slice(at + 2, -1).split("\n")) {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    const bytes = match && fromBase64(match[2]);
    if (!bytes || bytes.length < 5) {
      throw malformed("Not a signed note: a line below is no signature.");
    }
    const id = bytes.subarray(0, 4).toHex();
    const key = keys.find((each) => each.name === match![1] && each.id === id);
    if (!key || signatures.some((each) => each.key === key)) continue; // others' are of no concern
    const time = check(key, text, bytes.subarray(4));
    signatures.push(time === undefined ? { key } : { key, time });
  }
  if (signatures.length === 0) throw malformed("The note is not signed by the given key.");
  return { text, signatures };
}

/** @returns the time of a cosignature */
function check(key: NoteKey, text: string, signature: Uint8Array): number | undefined {
  let [message, bytes, time]: [string, Uint8Array, number | undefined] = [
    text,
    signature,
    undefined,
  ];
  if (key.kind === COSIGNATURE) {
    if (signature.length !== 72) throw malformed(`The cosignature of ${key.name} is not good.`);
    const { buffer, byteOffset } = signature;
    time = Number(new DataView(buffer, byteOffset, 8).getBigUint64(0));
    message = `cosignature/v1\ntime ${time}\n${text}`;
    bytes = signature.subarray(8);
  }
  if (!verify(null, ENCODER.encode(message), publicKeyOf(key), bytes)) {
    throw malformed(`The signature of ${key.name} is not good.`);
  }
  return time;
}

function publicKeyOf({ publicKey }: NoteKey): KeyObject {
  return createPublicKey({ key: concat(SPKI, publicKey) as never, format: "der", type: "spki" });
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}
