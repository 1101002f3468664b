/** Reading multipart/form-data: the platform's own writer and reader are the judges of what is well-formed. */
import assert from "node:assert/strict";
import { ServiceError } from "./error.ts";
import { Multipart } from "./multipart.ts";

const TYPE = "multipart/form-data; boundary=x";
type Read = { name: string; fileName: string | null; text: string }[];

/** Reads a body that arrives in pieces of `size` bytes. */
function read(body: string | Uint8Array, type = TYPE, size = Infinity): Read {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const parts: (Omit<Read[number], "text"> & { pieces: Uint8Array[]; isWhole: boolean })[] = [];
  const multipart = new Multipart(type, {
    begin: (head) => parts.push({ ...head, pieces: [], isWhole: false }),
    data: (bytes) => parts.at(-1)!.pieces.push(bytes.slice()),
    end: () => parts.at(-1)!.isWhole = true,
  });
  for (let at = 0; at < bytes.length; at += size) multipart.push(bytes.subarray(at, at + size));
  multipart.end();
  return parts.map(({ pieces, isWhole, ...head }) => {
    assert.ok(isWhole);
    const text = pieces.map((piece) => new TextDecoder("latin1").decode(piece)).join("");
    return { ...head, text };
  });
}

const part = (head: string, content: string) => `--x\r\n${head}\r\n\r\n${content}\r\n`;
const disposition = (parameters: string) => `Content-Disposition: form-data; ${parameters}`;
const FIELD = part(disposition('name="trust"'), "india");

Deno.test("a form is read as the platform writes it, in pieces of any size", async () => {
  const form = new FormData();
  const content = "\r\n--\r\n-\r\r\n--x\r\n\r\n\n--".repeat(20);
  form.set("trust", "india");
  form.set("file", new Blob([content]), "a.pdf");
  form.set("empty", "");
  form.set("content", new Blob([]), "ক.txt");
  const response = new Response(form);
  const type = response.headers.get("content-type")!;
  const body = new Uint8Array(await response.arrayBuffer());
  for (const size of [1, 2, 3, 7, 40, 100, Infinity]) {
    assert.deepEqual(read(body, type, size), [
      { name: "trust", fileName: null, text: "india" },
      { name: "file", fileName: "a.pdf", text: content },
      { name: "empty", fileName: null, text: "" },
      { name: "content", fileName: "ক.txt", text: "" },
    ]);
  }
});

Deno.test("what the platform reads of a body with boundaries of every kind is read too", async () => {
  const pieces = ["\r", "\n", "-", "--", "x", "--x", "\r\n--", "\r\n--x", "a"];
  let seed = 7;
  for (let i = 0; i < 500; i++) {
    const content = Array.from({ length: 6 }, () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return pieces[(seed >> 8) % pieces.length];
    }).join("");
    if (content.includes("\r\n--x") || content.startsWith("--x")) continue;
    const body = `${part(disposition('name="file"; filename="a"'), content)}--x--\r\n`;
    const form = await new Response(body, { headers: { "content-type": TYPE } }).formData();
    const expected = await (form.get("file") as File).text();
    for (const size of [1, 5, Infinity]) assert.equal(read(body, TYPE, size)[0].text, expected);
  }
});

Deno.test("bodies as programs send them: preamble, padding, quoted boundary, whole paths, RFC 8187", () => {
  const body = `for old readers\r\n--a b\t \r\n` +
    `content-disposition:form-data;name=file;filename="C:\\docs\\a.pdf"\r\nContent-Type: x/y\r\n\r\n` +
    `1\r\n--a b\r\n${
      disposition("filename*=UTF-8''%e0%a6%95.pdf; filename=b; name=content")
    }\r\n\r\n` +
    `2\r\n--a b--\r\nanything`;
  assert.deepEqual(read(body, 'Multipart/Form-Data; charset=utf-8; Boundary="a b"', 1), [
    { name: "file", fileName: "a.pdf", text: "1" },
    { name: "content", fileName: "ক.pdf", text: "2" },
  ]);
  assert.deepEqual(read(part(disposition('name="a\\"b"; filename=""'), "") + "--x--"), [
    { name: 'a"b', fileName: "", text: "" },
  ]);
});

Deno.test("what is cut off, or could be read in two ways, is refused", () => {
  const wrong: Record<string, string> = {
    empty: "",
    "no boundary": "abc",
    "cut in the delimiter": "--x",
    "cut in a head": "--x\r\ncontent-dis",
    "cut in data": FIELD.slice(0, -3),
    "no last boundary": FIELD,
    "a boundary that goes on": `${FIELD}--xy\r\n${FIELD}--x--`,
    "half of an end": `${FIELD}--x-\r\n`,
    "no head": "--x\r\n\r\na\r\n--x--",
    "no name": part(disposition('filename="a"'), "") + "--x--",
    "no form": part('Content-Disposition: attachment; name="a"', "") + "--x--",
    "two dispositions": part(`${disposition("name=a")}\r\n${disposition("name=b")}`, "") + "--x--",
    "two names": part(disposition("name=a; name=b"), "") + "--x--",
    "a name without end": part(disposition('name="a'), "") + "--x--",
    "text behind a name": part(disposition('name="a" b'), "") + "--x--",
    "a folded head": part(`${disposition("name=a;")}\r\n filename=b`, "") + "--x--",
    "a line that ends in a line feed": part(
      `Content-Type: x/y\n${disposition("name=a")}\r\n${disposition("name=b")}`,
      "",
    ) + "--x--",
    "a name with a line break": part(disposition('name="a\nb"'), "") + "--x--",
    "a NUL in a head": part(disposition('name="a\0"'), "") + "--x--",
    "Base64": part(`${disposition("name=a")}\r\nContent-Transfer-Encoding: base64`, "YQ==") +
      "--x--",
    "a name of 1 MB": part(disposition(`name="${"a".repeat(1 << 20)}"`), "") + "--x--",
    "a name of 1 MB that does not end": `--x\r\n${disposition(`name="${"a".repeat(1 << 20)}`)}`,
    "padding without end": `--x${" ".repeat(1 << 20)}`,
  };
  for (const [name, body] of Object.entries(wrong)) {
    for (const size of [3, 1000]) {
      assert.throws(() => read(body, TYPE, size), ServiceError, `${name}, by ${size} bytes`);
    }
  }
  for (
    const type of [
      "multipart/form-data",
      "multipart/form-data; boundary=",
      'multipart/form-data; boundary="a',
      "multipart/form-data; boundary=a; boundary=b",
      `multipart/form-data; boundary=${"a".repeat(71)}`,
      "multipart/form-data; boundary=é",
      "multipart/mixed; boundary=x",
    ]
  ) assert.throws(() => read(`${FIELD}--x--`, type), ServiceError, type);
});
