/** Documents and answers that are made to keep their reader busy: typed errors, and everybody else is answered. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openReaders } from "../otp_service/reading.ts";
import { openReaders as openDocumentReaders } from "../signing/reading.ts";
import { makeService } from "./fixtures/otp_service.ts";
import { dsign, dsignAtTerminal, environment, startDsign } from "./fixtures/cli.ts";
import {
  ENDLESS_READER,
  PORTAL,
  READER_COMMAND,
  testAgent,
  type TestClient,
} from "./fixtures/agent.ts";
import { endlessKeyFile, HOSTILE, hostileBytes, writeHostile } from "./fixtures/hostile.ts";
import { finish, inTempDir } from "./fixtures/openssl.ts";
import { Pkcs12Provider } from "../signers/pkcs12.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { makePki } from "./fixtures/pki.ts";
import { signJws } from "./fixtures/signed_files.ts";

const OTHER = "https://other.example";
const PDF = classicPdf(documentObjects());

/** Allowed verdicts on such a document. */
const REFUSED = ["document_malformed", "too_large"];

Deno.test("dsign verify: among hostile documents, each ends in a sentence, and a good one is read", () =>
  inTempDir(async (dir) => {
    const names = Object.keys(HOSTILE);
    for (const name of names) await writeHostile(name, dir);
    const good = join(dir, "order.pdf");
    await Deno.writeFile(good, new Uint8Array(PDF));
    const files = [...names.map((name) => join(dir, name)), good];
    const { code, stdout, stderr } = await dsign(["verify", "--json", ...files], environment(dir));
    assert.equal(code, 1, stderr);
    const told = JSON.parse(stdout) as {
      files: { file: string; indication: string; findings: { code: string }[] }[];
      failed: { file: string; message: string }[];
    };
    assert.equal(told.files.length + told.failed.length, files.length);
    for (const { file, indication } of told.files) {
      assert.notEqual(indication, "TOTAL-PASSED", file);
    }
    for (const { file, message } of told.failed) assert.match(message, /\.$/, file);
    assert.deepEqual(told.files.at(-1)!.findings.map(({ code }) => code), ["no_signature"]);
  }));

Deno.test("dsign verify: a command with one hostile document ends with a typed error", () =>
  inTempDir(async (dir) => {
    for (const name of ["large.xml", "inflating.pdf"]) {
      const path = await writeHostile(name, dir);
      const { code, stdout, stderr } = await dsign(["verify", "--json", path], environment(dir));
      assert.equal(code, 1, `${name}: ${stderr}`);
      assert.ok(REFUSED.includes(JSON.parse(stdout).error.code), `${name}: ${stdout}`);
    }
  }));

async function open(client: TestClient, bytes: Uint8Array, name = "signed"): Promise<number> {
  const { document } = await client.call("document.open", { name, size: bytes.length, keep: true });
  for (let at = 0; at < bytes.length; at += 256 * 1024) {
    client.sendChunk(document, bytes.subarray(at, at + 256 * 1024));
  }
  return document;
}

Deno.test("the agent refuses hostile documents, and reads the next one", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (
    const name of ["damaged.pdf", "nested.pdf", "xref-loop.pdf", "inflating.pdf", "nested.p7s"]
  ) {
    const document = await open(client, hostileBytes(name), name);
    const outcome = await client.call("signature.verify", { document, online: false }).then(
      ({ indication }) => indication,
      ({ code }) => code,
    );
    assert.ok([...REFUSED, "INDETERMINATE"].includes(outcome), `${name}: ${outcome}`);
    await client.call("document.close", { document });
  }
  const document = await open(client, PDF);
  const { findings } = await client.call("signature.verify", { document, online: false });
  assert.deepEqual(findings.map(({ code }) => code), ["no_signature"]);
});

Deno.test("while a document never ends, the agent answers others, and reads others' documents", async () => {
  await using test = await testAgent({
    reader: openDocumentReaders(ENDLESS_READER, console.error),
    allowedOrigins: [PORTAL, OTHER].map((origin) => ({
      origin,
      scopes: ["certificates" as const, "sign" as const],
    })),
  });
  const busy = await test.connect();
  let ended = false;
  const outcomes = [];
  for (let i = 0; i < 3; i++) {
    const document = await open(busy, PDF);
    outcomes.push(
      busy.call("signature.verify", { document, online: false }).catch(({ code }) => code)
        .finally(() => ended = true),
    );
  }
  const other = await test.connect(OTHER);
  assert.equal((await other.call("agent.info", {})).name, "dsign");
  const document = await open(other, PDF, "order.pdf");
  const { format } = await other.call("sign.document", { document, format: "pades" });
  assert.equal(format, "pades");
  assert.equal((await busy.call("agent.info", {})).name, "dsign");
  assert.equal(ended, false);
  for (let id = busy.lastId; id > 0; id--) busy.notify("$/cancelRequest", { id });
  assert.deepEqual(await Promise.all(outcomes), Array(3).fill("request_cancelled"));
});

Deno.test("while a document never ends, the PIN/OTP service answers others", async () => {
  const reader = openReaders(ENDLESS_READER, console.error);
  const test = makeService({ reader });
  try {
    const token = await test.token();
    let ended = false;
    const upload = Promise.resolve(test.handler(
      new Request("https://sign.works.example/portal/v1/documents?name=order.pdf", {
        method: "POST",
        body: new Uint8Array(PDF),
        headers: { authorization: `Bearer ${token}`, "content-type": "application/pdf" },
      }),
    )).finally(() => ended = true);
    const { status } = await test.call("/csc/v2/info", {}, token);
    assert.equal(status, 200);
    assert.equal(ended, false);
    await reader.close();
    assert.equal((await upload).status, 500);
  } finally {
    await test.close();
  }
});

Deno.test("a key file that keeps its reader busy holds up nobody else, and ends with its request", () =>
  inTempDir(async (dir) => {
    const keyFile = join(dir, "officer.p12");
    await Deno.writeFile(keyFile, await endlessKeyFile());
    const reader = openDocumentReaders(ENDLESS_READER, console.error);
    const opening = Promise.withResolvers<void>();
    const provider = new Pkcs12Provider([keyFile], reader);
    const open12 = provider.open.bind(provider);
    provider.open = (...args) => {
      opening.resolve();
      return open12(...args);
    };
    await using test = await testAgent({ providers: [provider], reader });
    const client = await test.connect();
    const document = await open(client, PDF, "order.pdf");
    const signed = client.call("sign.document", { document, format: "pades" });
    const id = client.lastId;
    await opening.promise;
    assert.equal((await client.call("agent.info", {})).name, "dsign");
    const { keys } = await provider.list();
    assert.equal(keys.length, 1);
    client.notify("$/cancelRequest", { id });
    await assert.rejects(signed, { code: "request_cancelled" });
  }));

Deno.test("a key file of 10⁹ iterations, and a malformed one, end in a sentence, in the agent and at the terminal", () =>
  inTempDir(async (dir) => {
    const keyFile = join(dir, "officer.p12");
    await Deno.writeFile(keyFile, await endlessKeyFile());
    const nested = join(dir, "nested.p12");
    await Deno.writeFile(nested, hostileBytes("nested.p7s").subarray(0, 1_000_000));
    const order = join(dir, "order.pdf");
    await Deno.writeFile(order, new Uint8Array(PDF));
    {
      const reader = openDocumentReaders(READER_COMMAND, console.error);
      const provider = new Pkcs12Provider([keyFile, nested], reader);
      await using test = await testAgent({ providers: [provider], reader });
      const client = await test.connect();
      const { problems } = await provider.list();
      assert.deepEqual(problems.map(({ driver, code }) => [driver, code]), [
        [nested, "key_file_unreadable"],
      ]);
      const document = await open(client, PDF, "order.pdf");
      const signed = client.call("sign.document", { document, format: "pades" });
      assert.equal((await client.call("agent.info", {})).name, "dsign");
      await assert.rejects(signed, { code: "key_file_unreadable" });
    }
    const sign = ["sign", "--key-file", keyFile, order];
    const typed: [RegExp, string][] = [[/(PIN|password)[^:]*: /i, "1234\r"]];
    const { code, stderr } = await dsignAtTerminal(sign, environment(dir), typed);
    assert.notEqual(code, 0);
    assert.match(stderr, /key file is damaged/);
  }));

Deno.test("an endless revocation list is abandoned", async () => {
  const pki = makePki({
    officers: [{ name: "Asha", key: "p-256" }],
    baseUrl: "http://ca.example",
  });
  const [officer] = pki.officers;
  const signed = new TextEncoder().encode(
    signJws({ ...officer, chain: [] }, { payload: new TextEncoder().encode("{}") }),
  );
  let sent = 0;
  await using test = await testAgent({
    pkiFetch: () =>
      Promise.resolve(
        new Response(
          new ReadableStream({
            pull(controller) {
              sent++;
              controller.enqueue(new Uint8Array(1 << 20));
            },
          }),
        ),
      ),
  });
  const client = await test.connect();
  const document = await open(client, signed);
  const report = await client.call("signature.verify", { document, online: true });
  assert.equal(report.indication, "INDETERMINATE");
  assert.ok(sent > 1 && sent < 200, `${sent} MiB`);
});

Deno.test({
  name: "a signal ends a command that is reading an endless document",
  ignore: Deno.build.os === "windows", // has no signals between processes
  fn: () =>
    inTempDir(async (dir) => {
      const path = await writeHostile("namespaces.xml", dir);
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const child = startDsign(["verify", path], environment(dir));
        const output = new Response(child.stdout).text();
        // long enough to be within the document, which takes seconds
        await new Promise((resolve) => setTimeout(resolve, 1500));
        child.kill(signal);
        const { code } = await child.status;
        assert.equal(code, signal === "SIGTERM" ? 143 : 130);
        assert.equal(await output, "");
      }
    }),
});

Deno.test("on Windows, Ctrl-Break ends a command that is reading an endless document", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "order.pdf");
    await Deno.writeFile(path, new Uint8Array(PDF));
    const fakes = new URL("fakes/", import.meta.url);
    const folders = ["USERPROFILE", "APPDATA", "LOCALAPPDATA", "ProgramData"];
    const { code, stdout, stderr } = await finish(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--no-check", "-A"],
        fileURLToPath(new URL("windows_signals.ts", fakes)),
        ...["SIGBREAK", new URL("endless_reader_worker.ts", fakes).href, "verify", path],
      ],
      env: environment(dir, Object.fromEntries(folders.map((name) => [name, dir]))),
    });
    assert.deepEqual([code, stdout], [130, ""], stderr);
  }));

Deno.test({
  name: "a pipe in a folder or in place of a certificate file does not block",
  ignore: Deno.build.os === "windows", // has none in folders
  fn: () =>
    inTempDir(async (dir) => {
      const pipe = async (path: string) => {
        const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
        assert.ok(success);
        return path;
      };
      const env = environment(dir);
      const file = join(dir, "order.pdf");
      await Deno.writeFile(file, new Uint8Array(PDF));
      const trust = await pipe(join(dir, "roots.pem"));
      const verified = await dsign(["verify", "--trust", trust, file], env);
      assert.equal(verified.code, 2);
      assert.match(verified.stderr, /cannot be read/);
      const keys = await pipe(join(dir, "officer.p12"));
      const beside = join(dir, "asha.p12");
      await Deno.writeFile(beside, new Uint8Array(10));
      await pipe(join(dir, "asha.crt"));
      for (const keyFile of [keys, beside, "/dev/zero", dir]) {
        const { code } = await dsign(["tokens", "--key-file", keyFile], env);
        assert.ok(code < 128, `${keyFile}: ${code}`);
      }
      for (
        const options of [
          ["--picture", trust, "--visible", "1"],
          ["--cosign", trust],
          ["--password-file", "/dev/zero"],
        ]
      ) {
        const { code } = await dsign(["sign", ...options, file], env);
        assert.ok(code > 0 && code < 128, `${options}: ${code}`);
      }
      for (
        const options of [
          ["--content", trust],
          ["--certificate", trust],
          ["--password-file", "/dev/zero"],
        ]
      ) {
        const { code } = await dsign(["verify", ...options, file], env);
        assert.ok(code > 0 && code < 128, `${options}: ${code}`);
      }
      await pipe(join(dir, "order-signed.pdf"));
      const signed = await dsign(["sign", "--batch", dir], env);
      assert.notEqual(signed.code, 0);
      assert.match(signed.stderr, /order-signed\.pdf.*exists/);
    }),
});
