import assert from "node:assert/strict";
import { strFromU8, strToU8, unzipSync, Zip, ZipDeflate, zipSync } from "fflate";
import { FormatError } from "../error.ts";
import { concat } from "../asn1/der.ts";
import { dosTime, readZip, writeZip } from "./zip.ts";

const time = dosTime(new Date("2026-11-30T12:00:00Z"));
const entry = (name: string, text: string) => ({ name, bytes: strToU8(text), time });
const two = () => writeZip([entry("mimetype", "text/plain"), entry("a/b.txt", "Pay 7\n")]);
const refused = (bytes: Uint8Array, why: RegExp, name = "") =>
  assert.throws(
    () => readZip(bytes),
    (error) =>
      error instanceof FormatError && /^(container_malformed|limit_exceeded)$/.test(error.code) &&
      why.test(error.message),
    name,
  );

Deno.test("what is written is read again, here and by another reader", () => {
  const bytes = two();
  const files = readZip(bytes).map(({ name, bytes }) => [name, strFromU8(bytes)]);
  assert.deepEqual(files, [["mimetype", "text/plain"], ["a/b.txt", "Pay 7\n"]]);
  const theirs = Object.entries(unzipSync(bytes)).map(([name, bytes]) => [name, strFromU8(bytes)]);
  assert.deepEqual(theirs, files);
  assert.deepEqual(writeZip(readZip(bytes)), bytes);
});

Deno.test("compressed files of others are read, and written again as they were", () => {
  const theirs = zipSync({ "a.txt": strToU8("7".repeat(5000)), "নথি.txt": strToU8("x") });
  const read = readZip(theirs);
  assert.deepEqual(read.map(({ name, bytes }) => [name, bytes.length]), [["a.txt", 5000], [
    "নথি.txt",
    1,
  ]]);
  assert.ok(writeZip(read).length < 400);
});

/** As one that writes into a stream does it: sizes stand behind the data (§4.3.9). */
function streamed(files: Record<string, string>): Uint8Array {
  const pieces: Uint8Array[] = [];
  const zip = new Zip((error, piece) => {
    if (error) throw error;
    pieces.push(piece);
  });
  for (const [name, text] of Object.entries(files)) {
    const file = new ZipDeflate(name);
    zip.add(file);
    file.push(strToU8(text), true);
  }
  zip.end();
  return concat(...pieces);
}

Deno.test("sizes may stand behind the data, where they must be those of the directory", () => {
  const theirs = streamed({ "a.txt": "7".repeat(500), "b.txt": "8" });
  const read = readZip(theirs);
  assert.deepEqual(read.map(({ name, bytes }) => [name, bytes.length]), [["a.txt", 500], [
    "b.txt",
    1,
  ]]);
  assert.deepEqual(
    readZip(writeZip(read)).map(({ bytes }) => bytes),
    read.map((each) => each.bytes),
  );
  const text = new TextDecoder("latin1").decode(theirs);
  for (const at of [4, 8, 12]) {
    const other = theirs.slice();
    other[text.indexOf("PK\x07\x08") + at] ^= 1;
    refused(other, /contradict/, `${at}`);
  }
});

Deno.test("ZIP files, such as .docx, stand in a container as they are", () => {
  const inner = zipSync({ "word/document.xml": strToU8("<a/>") });
  const [file] = readZip(writeZip([{ name: "order.docx", bytes: inner, time }]));
  assert.deepEqual(file.bytes, inner);
  // Their directory must not be one of the container too, nor an empty one.
  const start = 30 + "order.docx".length;
  const end = new TextDecoder("latin1").decode(inner).indexOf("PK\x05\x06");
  const other = inner.slice();
  const view = new DataView(other.buffer);
  view.setUint32(end + 16, start + view.getUint32(end + 16, true), true);
  refused(writeZip([{ name: "order.docx", bytes: other, time }]), /ambiguous/);
  refused(writeZip([{ name: "a.zip", bytes: zipSync({}), time }]), /ambiguous/);
});

Deno.test("the order of names is kept, whatever they look like", () => {
  const names = ["mimetype", "7", "1", "__proto__", "constructor"];
  const bytes = writeZip(names.map((name) => entry(name, name)));
  assert.deepEqual(readZip(bytes).map(({ name }) => name), names);
});

Deno.test("a container that two readers would read in two ways is refused", () => {
  const bytes = two();
  const patched = (at: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, at);
    return copy;
  };
  const text = new TextDecoder("latin1").decode(bytes);
  const central = text.indexOf("PK\x01\x02");
  refused(concat(Uint8Array.of(0), bytes), /directory is not where|between/, "bytes before");
  refused(concat(bytes, Uint8Array.of(0)), /end is missing|not where/, "bytes behind");
  refused(concat(bytes, bytes), /ambiguous|not where|between/, "two ends");
  refused(patched(30, 0x4d), /contradict/, "other names in header and directory");
  refused(patched(22, 9), /contradict/, "another size");
  refused(patched(central + 42, 1), /between/, "another offset");
  refused(patched(8, 1), /contradict/, "encrypted in the header alone");
  refused(patched(central + 8, 1), /encrypted/, "encrypted");
  refused(patched(text.indexOf("Pay 7"), 0x51), /damaged/, "changed content");
  refused(patched(central + 20, 255, 255, 255, 255), /ZIP64/, "ZIP64");
  const comment = patched(bytes.length - 2, 22);
  refused(concat(comment, bytes.subarray(-22)), /ambiguous/, "an end in the comment of another");
  const renamed = { extra: { 0x7075: Uint8Array.of(1, 0, 0, 0, 0, 0x62) } };
  refused(zipSync({ "a": [strToU8("x"), renamed] }), /two names/, "another name beside the name");
  // A second local file that the directory does not name.
  const hidden = writeZip([entry("hidden.txt", "Pay 9000\n")]);
  const first = hidden.subarray(0, hidden.length - 22 - 46 - "hidden.txt".length);
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, central + first.length, true);
  const moved = bytes.slice(central);
  moved.set(new Uint8Array(view.buffer), moved.length - 22 + 16);
  refused(concat(bytes.subarray(0, central), first, moved), /between/, "hidden file");
});

Deno.test("names that lead elsewhere, links and doubled names are refused", () => {
  const named = (name: string) => {
    const bytes = zipSync({ [name]: strToU8("x") });
    return bytes;
  };
  for (
    const name of [
      "../a",
      "/a",
      "a/../b",
      "a\\b",
      "C:a",
      "a//b",
      "./a",
      "a\u0000b",
      "x".repeat(600),
    ]
  ) refused(named(name), /name of a file/, name);
  const doubled = writeZip([entry("a.txt", "1"), entry("b.txt", "2")]);
  const text = new TextDecoder("latin1").decode(doubled);
  const same = doubled.slice();
  for (const { index } of text.matchAll(/b\.txt/g)) same[index] = 0x41; // A.txt
  refused(same, /twice/);
  const [composed, apart] = ["\u00e9", "e\u0301"];
  refused(zipSync({ [composed]: strToU8("1"), [apart]: strToU8("2") }), /twice/);
  for (const name of ["a.txt.", "a.txt ", "A.txt. "]) {
    refused(zipSync({ "a.txt": strToU8("1"), [name]: strToU8("2") }), /twice/, name);
  }
  const link = zipSync({ "a": [strToU8("/etc/passwd"), { os: 3, attrs: 0o120777 << 16 }] });
  refused(link, /link/);
  assert.throws(() => writeZip([entry("../a", "x")]), { code: "invalid_argument" });
});

Deno.test("a bomb ends where its size says, and before that where it says too much", () => {
  const bomb = zipSync({ "a": new Uint8Array(1 << 20) });
  const text = new TextDecoder("latin1").decode(bomb);
  const small = bomb.slice();
  for (const [pattern, at] of [["PK\x03\x04", 22], ["PK\x01\x02", 24]] as const) {
    small.set([16, 0, 0, 0], text.indexOf(pattern) + at);
  }
  refused(small, /damaged, or larger/);
  const large = bomb.slice();
  for (const [pattern, at] of [["PK\x03\x04", 22], ["PK\x01\x02", 24]] as const) {
    large.set([0, 0, 0, 0x20], text.indexOf(pattern) + at);
  }
  refused(large, /holds more than is read/);
  const many = writeZip(Array.from({ length: 1000 }, (_, i) => entry(`f${i}`, "")));
  assert.equal(readZip(many).length, 1000);
});

Deno.test("nothing can be hidden behind compressed data, or in a folder's", () => {
  const theirs = zipSync({ "a/": new Uint8Array(), "a/b": strToU8("7".repeat(100)) });
  const text = new TextDecoder("latin1").decode(theirs);
  // The folder's data is an empty final block: another block type is no end.
  const folder = theirs.slice();
  folder[text.indexOf("a/") + 2] ^= 0x06;
  refused(folder, /damaged/);
  const [, file] = readZip(
    zipSync({ "x": strToU8("7".repeat(100)), "y": strToU8("7".repeat(99)) }),
  );
  const data = concat(file.packed!.data, strToU8("hidden"));
  refused(writeZip([{ ...file, packed: { method: 8, data } }]), /damaged/);
});
