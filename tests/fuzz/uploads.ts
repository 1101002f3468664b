/** Mutated requests to the verification service: each gets an answer of its closed list, and leaves nothing behind. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { FormatError } from "../../formats/error.ts";
import { VERIFY_ERRORS, VerifyError } from "../../protocol/verify_service.ts";
import { createHandler } from "../../verify_service/service.ts";
import { TrustSets } from "../../verify_service/trust_sets.ts";

/** HTTP's and multipart's own words, and the names of the service's fields. */
export const words = [
  ...["\r\n", "\r\n\r\n", "--x", "--x--", "\n", ": ", '"', "; ", "=", "content-disposition"],
  ...["form-data", "name", "filename*=UTF-8''%00", "content-type", "multipart/mixed; boundary=y"],
  ...["content-transfer-encoding: base64", "content-length: 5", "__proto__", "trust", "file"],
  ...["POST /v1/verify", "GET /readyz", "origin: null", "boundary=", "transfer-encoding: chunked"],
];

const part = (head: string, body: string) =>
  `--x\r\ncontent-disposition: form-data; ${head}\r\n\r\n${body}\r\n`;

export function seeds(): Promise<Uint8Array[]> {
  const head = "POST /v1/verify\r\ncontent-type: multipart/form-data; boundary=x\r\n\r\n";
  const file = part('name="file"; filename="order.pdf"', "%PDF-1.7 …");
  const trust = part('name="trust"', "india");
  const content = part('name="content"; filename="a"', "y".repeat(3000));
  const more = ["pan", "certificate"].map((name) => part(`name="${name}"`, "ab".repeat(32)));
  return Promise.resolve(
    [
      `${head}${file}${trust}--x--\r\n`,
      `${head}${trust}${file}${content}${more.join("")}--x--\r\n`,
      `${head}${part('name="level"', "B-LT")}${trust}${file}--x--`,
      ...["file", "appended", "refused"].map((then) =>
        `${head.replace("verify", "extend")}${part('name="level"', "B-LTA")}${trust}` +
        `${part('name="file"; filename="order.pdf"', then)}${content}` +
        `${part('name="password"', "ab")}--x--`
      ),
      "GET /v1/openapi.json\r\n\r\n",
      "GET /metrics\r\norigin: https://portal.example\r\n\r\n",
    ].map((text) => new TextEncoder().encode(text)),
  );
}

/** Of a file without signatures, whose certificates all lead to a root nevertheless. */
const JUDGED = {
  allLead: true,
  problems: [],
  kept: [],
  report: {
    ...{ version: 1, format: "pdf", verifiedAt: "2026-11-30T00:00:00Z" },
    ...{ indication: "INDETERMINATE", findings: [], signatures: [], route: null },
  },
};

const spool = await Deno.makeTempDir({ prefix: "fuzz-uploads-" });
globalThis.addEventListener("unload", () => Deno.removeSync(spool, { recursive: true }));
let asked = 0;
const handle = createHandler({
  version: "1.2.3",
  sets: Object.assign(await TrustSets.load({}), {
    get: (name: string) => name === "india" ? [] : undefined,
  }),
  reader: {
    // what reads files is tried by the other targets: here a file says what comes of it
    // deno-lint-ignore no-explicit-any -- answers of several questions
    ask: (question: string, _: unknown, { documents: [file] }: any): Promise<any> => {
      asked++;
      const then = new TextDecoder().decode(file.read(0, 8));
      if (then === "file" || then === "appended") {
        return Promise.resolve({
          result: question === "judge" ? JUDGED : { [then]: new Uint8Array(9) },
        });
      }
      return Promise.reject(new FormatError("pdf_malformed", "It is not whole."));
    },
    close: () => Promise.resolve(),
  },
  online: {
    timestamp: () => Promise.reject(new Error("not asked")),
    validationData: () => Promise.reject(new Error("not asked")),
  },
  now: () => new Date(),
  spool,
  requests: 2,
  uploadBytes: 1 << 16,
  diskBytes: 1 << 20,
  uploadTime: 10_000,
  processes: () => 0,
});

/** @throws whatever no answer may be */
export async function exercise(bytes: Uint8Array): Promise<void> {
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf("\r\n\r\n");
  const [line, ...lines] = text.slice(0, Math.max(0, at)).split("\r\n");
  const [method, path] = line.split(" ");
  const body = bytes.slice(at + 4);
  const headers: Record<string, string> = { "content-length": `${body.length}` };
  for (const each of lines) {
    const [name, ...value] = each.split(":");
    headers[name.trim().toLowerCase()] = value.join(":").trim();
  }
  const { signal } = new AbortController();
  const response = await handle({
    ...{ method, target: path ?? "", headers, signal, proceed() {} },
    body: Readable.from(body.length > 0 ? [body] : []),
  });
  if (response.status !== 200) {
    const { error } = VerifyError.parse(JSON.parse(String(response.body)));
    assert.equal(VERIFY_ERRORS[error], response.status);
    assert.ok(!["internal_error", "busy"].includes(error), `${error} after ${asked}`);
  }
  assert.deepEqual([...Deno.readDirSync(spool)], []);
}
