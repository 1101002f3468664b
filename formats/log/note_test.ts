import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { FormatError } from "../error.ts";
import { formatCheckpoint, formatReceipt, readCheckpoint, verifyReceipt } from "./checkpoint.ts";
import { formatNoteKey, noteKey, noteSigner, openNote, readNoteKey } from "./note.ts";
import { leafHash, nodeHash } from "./tree.ts";

const SEED = new Uint8Array(32).fill(7);
const ENCODER = new TextEncoder();
const malformed = { name: "FormatError", code: "log_malformed" };
const entryOf = (line: string) => ENCODER.encode(line);

Deno.test("the note of the documentation of Go's sumdb/note is read", () => {
  // golang.org/x/mod/sumdb/note: the example of its package's documentation
  const key = readNoteKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  const note = "If you think cryptography is the answer to your problem,\n" +
    "then you don't know what your problem is.\n" +
    "\n" +
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  assert.match(openNote(note, [key]).text, /^If you think.*\n.*is\.\n$/);
  assert.equal(
    formatNoteKey(key),
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
  );
  assert.throws(() => openNote(note.replace("answer", "Answer"), [key]), malformed);
});

Deno.test("a note counts only as it was signed, by the key that is asked for", () => {
  const signer = noteSigner("sign.example/log", SEED);
  const note = signer.sign("one\n\ntwo\n");
  assert.equal(openNote(note, [signer.key]).text, "one\n\ntwo\n");
  const other = noteSigner("sign.example/log", new Uint8Array(32).fill(8));
  assert.throws(() => openNote(note, [other.key]), malformed);
  assert.throws(() => openNote(note, []), malformed);
  for (let i = 0; i < note.length; i++) {
    const changed = note.slice(0, i) + (note[i] === "A" ? "B" : "A") + note.slice(i + 1);
    let text: string | undefined;
    try {
      text = openNote(changed, [signer.key]).text;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
    assert.equal(text, undefined, `character ${i}`);
  }
  // another's signature beside it is of no concern
  const both = note + other.sign("x\n").split("\n").at(-2) + "\n";
  assert.equal(openNote(both, [signer.key]).signatures.length, 1);
});

Deno.test("keys of logs are read as they are written, and nothing else is", () => {
  const { key } = noteSigner("sign.example/log", SEED);
  assert.deepEqual(readNoteKey(`${formatNoteKey(key)}\n`), key);
  const text = formatNoteKey(key);
  for (const wrong of ["", "a+b", text.replace("sign", "sing"), text.slice(0, -4), `${text}AAAA`]) {
    assert.throws(() => readNoteKey(wrong), malformed, wrong);
  }
});

Deno.test("a checkpoint tells its log, size and root, and who witnessed it", () => {
  const { key, sign: signNote } = noteSigner("sign.example/log", SEED);
  const text = formatCheckpoint({ origin: key.name, size: 3, root: leafHash(SEED) });
  // c2sp.org/tlog-cosignature
  const pkcs8 = new Uint8Array([
    ...Uint8Array.fromHex("302e020100300506032b657004220420"),
    ...SEED,
  ]);
  const privateKey = createPrivateKey({ key: pkcs8 as never, format: "der", type: "pkcs8" });
  const witness = noteKey("witness.example/w", key.publicKey, 4);
  const time = new Uint8Array(8);
  new DataView(time.buffer).setBigUint64(0, 1_796_000_000n);
  const cosigned = sign(
    null,
    ENCODER.encode(`cosignature/v1\ntime 1796000000\n${text}`),
    privateKey,
  );
  const bytes = new Uint8Array([...Uint8Array.fromHex(witness.id), ...time, ...cosigned]);
  const note = `${signNote(text)}— ${witness.name} ${bytes.toBase64()}\n`;
  const { size, root, witnesses } = readCheckpoint(note, key, [witness]);
  assert.deepEqual([size, root.toHex()], [3, leafHash(SEED).toHex()]);
  assert.deepEqual(witnesses, [{ key: witness, time: 1_796_000_000 }]);
  assert.deepEqual(readCheckpoint(note, key).witnesses, []);
  // another log's
  const other = noteSigner("other.example/log", SEED);
  assert.throws(() => readCheckpoint(note, other.key), malformed);
  assert.throws(() => readCheckpoint(other.sign(text), other.key), malformed, "another origin");
  for (
    const body of ["sign.example/log\n03\n", "sign.example/log\n3\nAA==\n", "sign.example/log\n"]
  ) {
    assert.throws(() => readCheckpoint(signNote(body), key), malformed, body);
  }
});

Deno.test("a receipt proves its line alone", () => {
  const { key, sign } = noteSigner("sign.example/log", SEED);
  const lines = ["first line", "second line: ভূমি"];
  const [left, right] = lines.map((line) => leafHash(entryOf(line)));
  const root = nodeHash(left, right);
  const checkpoint = sign(formatCheckpoint({ origin: key.name, size: 2, root }));
  const text = formatReceipt({ line: lines[1], index: 1, proof: [left], checkpoint });
  const { line, index, size } = verifyReceipt(text, key, entryOf);
  assert.deepEqual([line, index, size], [lines[1], 1, 2]);
  const wrong = (changed: Partial<Parameters<typeof formatReceipt>[0]>) =>
    formatReceipt({ line: lines[1], index: 1, proof: [left], checkpoint, ...changed });
  const smaller = sign(formatCheckpoint({ origin: key.name, size: 1, root: right }));
  for (
    const each of [
      wrong({ line: lines[0] }),
      wrong({ index: 0 }),
      wrong({ proof: [] }),
      wrong({ proof: [right] }),
      wrong({ checkpoint: smaller }),
      wrong({ checkpoint: checkpoint.replace("\n2\n", "\n3\n") }),
      text.slice(0, -10),
      text.replace("extra", "other"),
      "",
    ]
  ) assert.throws(() => verifyReceipt(each, key, entryOf), malformed, each);
});
