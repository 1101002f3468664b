/** The verification service as a portal's server, an administrator and an attacker meet it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { concat } from "../formats/asn1/der.ts";
import { pem } from "../formats/asn1/pem.ts";
import { VerifyAnswer, verifyOpenapi } from "../protocol/verify_service.ts";
import { type PkiServices, startPkiServices } from "../tests/fakes/pki_services.ts";
import { ENDLESS_READER, READER_COMMAND } from "../tests/fixtures/agent.ts";
import { hostileBytes } from "../tests/fixtures/hostile.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { signCms, signXml } from "../tests/fixtures/signed_files.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { VerifyConfig } from "./config.ts";
import { startVerifyService } from "./server.ts";

interface Test {
  pki: PkiServices;
  url: string;
  dir: string;
  signed: Uint8Array;
  post(parts: Record<string, string | Uint8Array>): Promise<{ status: number; body: Body }>;
}
// deno-lint-ignore no-explicit-any -- answers of both kinds
type Body = any;

/** Runs `work` with a service whose trust set `india` is the root of a PKI with network services; `other` trusts another. */
function withService(
  settings: Record<string, unknown>,
  work: (test: Test) => Promise<void>,
  readerCommand = READER_COMMAND,
): Promise<void> {
  return inTempDir(async (dir) => {
    await using pki = await startPkiServices({ officers: [{ name: "Asha", key: "p-256" }] });
    const roots = { india: pki.pki, other: makePki({ officers: [] }) };
    for (const [name, { root }] of Object.entries(roots)) {
      await Deno.mkdir(join(dir, name));
      await Deno.writeTextFile(
        join(dir, name, "root.crt"),
        pem("CERTIFICATE", root.certificate.der),
      );
    }
    const config = VerifyConfig.parse({
      listen: "127.0.0.1:0",
      trust: { india: join(dir, "india"), other: join(dir, "other") },
      intranetServices: true,
      spool: dir,
      readers: 2,
      ...settings,
    });
    const service = await startVerifyService(config, {
      version: "1.2.3",
      readerCommand,
    });
    try {
      await work({
        pki,
        dir,
        url: service.address,
        signed: signPdf(classicPdf(documentObjects()), pki.pki.officers[0]),
        async post(parts) {
          const response = await fetch(`${service.address}/v1/verify`, {
            method: "POST",
            body: formOf(parts),
          });
          return { status: response.status, body: await response.json() };
        },
      });
      // nothing of an upload is left
      const left = (await Array.fromAsync(Deno.readDir(dir))).filter(({ name }) =>
        name.startsWith("dsign-verify-")
      );
      for (const { name } of left) {
        assert.deepEqual(await Array.fromAsync(Deno.readDir(join(dir, name))), []);
      }
    } finally {
      await service.close();
    }
  });
}

function formOf(parts: Record<string, string | Uint8Array>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === "string") form.set(name, value);
    else form.set(name, new Blob([value as Uint8Array<ArrayBuffer>]), `${name}.pdf`);
  }
  return form;
}

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

Deno.test("a signed PDF passes, and authorities are asked once", () =>
  withService({}, async ({ pki, signed, post }) => {
    const [first, ...others] = await Promise.all(
      Array.from({ length: 4 }, () => post({ file: signed, trust: "india" })),
    );
    for (const { status, body } of [first, ...others]) {
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual([body.ok, body.indication], [true, "TOTAL-PASSED"], JSON.stringify(body));
    }
    const { ok: _, ...report } = VerifyAnswer.parse(first.body);
    assert.equal(report.sha256, sha256(signed));
    assert.equal(report.file, "file.pdf");
    assert.equal(report.signatures[0].revocation.status, "good");
    assert.deepEqual(report.problems, []);
    const asked = pki.requests.length;
    assert.equal(
      new Set(pki.requests).size,
      asked,
      "each address once, whoever asks at the same time",
    );
    await post({ file: signed, trust: "india" });
    assert.equal(pki.requests.length, asked);
  }));

Deno.test("what was expected of signer and level decides with the verdict", () =>
  withService({}, async ({ pki, signed, post }) => {
    const [officer] = pki.pki.officers;
    const right = {
      pan: sha256(officer.pan),
      certificate: sha256(officer.certificate.der).toUpperCase(),
      level: "B-B",
    };
    const { body } = await post({ file: signed, trust: "india", ...right });
    assert.deepEqual(body.expected, { pan: true, certificate: true, level: true });
    assert.equal(body.ok, true);
    const wrong = { pan: sha256("AAAPA0000A"), certificate: sha256("x"), level: "B-LT" };
    for (const [name, value] of Object.entries(wrong)) {
      const { body } = await post({ file: signed, trust: "india", ...right, [name]: value });
      assert.deepEqual([body.ok, body.expected[name]], [false, false], name);
    }
  }));

Deno.test("for a file that leads to no root of the named set, nobody is called", () =>
  withService({}, async ({ pki, signed, post }) => {
    const { body } = await post({ file: signed, trust: "other" });
    assert.deepEqual([body.ok, body.indication], [false, "INDETERMINATE"]);
    assert.deepEqual(pki.requests, []);
  }));

Deno.test("a PDF is extended to B-LT if all its certificates lead to the set", () =>
  withService({}, async ({ pki, url, dir, signed }) => {
    const trust = join(dir, "india");
    const config = VerifyConfig.parse({
      ...{ listen: "127.0.0.1:0", trust: { india: trust, other: join(dir, "other") }, readers: 1 },
      intranetServices: true,
      timestampAuthority: `${pki.url}/tsa`,
    });
    const options = { version: "1.2.3", readerCommand: READER_COMMAND };
    const service = await startVerifyService(config, options);
    const extend = (parts: Record<string, string | Uint8Array>, at = service.address) =>
      fetch(`${at}/v1/extend`, { method: "POST", body: formOf(parts) });
    try {
      const foreign = await extend({ file: signed, trust: "other", level: "B-LT" });
      assert.equal((await foreign.json()).error, "not_trusted");
      assert.deepEqual(pki.requests, []);
      const without = await extend({ file: signed, trust: "india", level: "B-T" }, url);
      const { error, message } = await without.json();
      assert.equal(error, "not_extended");
      assert.match(message, /No time-stamping service is configured/);
      const response = await extend({ file: signed, trust: "india", level: "B-LT" });
      assert.equal(response.headers.get("dsign-result"), "appended");
      const appended = new Uint8Array(await response.arrayBuffer());
      assert.equal(response.status, 200, new TextDecoder().decode(appended));
      const form = formOf({ file: concat(signed, appended), trust: "india" });
      const verified = await fetch(`${service.address}/v1/verify`, { method: "POST", body: form });
      const body = await verified.json();
      assert.deepEqual([body.ok, body.signatures[0].level], [true, "B-LT"], JSON.stringify(body));
    } finally {
      await service.close();
    }
  }));

Deno.test("content beside a detached signature is read, and must be the signed one", () =>
  withService({}, async ({ pki, post }) => {
    const encode = (text: string) => new TextEncoder().encode(text);
    const content = encode("order 7");
    const file = signCms(pki.pki.officers[0], {
      digest: new Uint8Array(await crypto.subtle.digest("SHA-256", content)),
    });
    const verdict = async (parts: Record<string, Uint8Array>) => {
      const { status, body } = await post({ trust: "india", file, ...parts });
      return [status, body.indication];
    };
    assert.deepEqual(await verdict({ content }), [200, "TOTAL-PASSED"]);
    assert.deepEqual(await verdict({ content: new Uint8Array(3) }), [200, "TOTAL-FAILED"]);
    assert.deepEqual(await verdict({}), [200, "INDETERMINATE"]);
    // Nothing in the verdict on such a file is about the content.
    const xml = signXml(pki.pki.officers[0], {
      kind: "enveloped",
      document: encode("<pay>7</pay>"),
    });
    assert.deepEqual(await verdict({ file: xml }), [200, "TOTAL-PASSED"]);
    assert.deepEqual(await verdict({ file: xml, content }), [400, undefined]);
  }));

Deno.test("browsers and malformed requests are refused, each with its error", () =>
  withService({ uploadBytes: 100_000 }, async ({ url, signed, post }) => {
    const at = `${url}/v1/verify`;
    const told = async (response: Response) => [response.status, (await response.json()).error];
    const form = () => formOf({ file: signed, trust: "india" });
    for (
      const [name, value] of [["origin", "https://portal.example"], ["sec-fetch-site", "none"]]
    ) {
      const headers = { [name]: value };
      const response = await fetch(at, { method: "POST", headers, body: form() });
      assert.deepEqual(await told(response), [403, "browser_refused"]);
    }
    const wrong = await fetch(at);
    assert.equal(wrong.headers.get("allow"), "POST");
    assert.deepEqual(await told(wrong), [405, "method_wrong"]);
    assert.deepEqual(await told(await fetch(`${url}/v2`)), [404, "not_found"]);
    assert.deepEqual(await told(await fetch(at, { method: "POST", body: "x" })), [
      415,
      "type_wrong",
    ]);
    const streamed = await fetch(at, {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=x" },
      body: new Blob(["--x--"]).stream(),
    });
    assert.deepEqual(await told(streamed), [411, "length_missing"]);
    const cut = await fetch(at, {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=x" },
      body: '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    });
    assert.deepEqual(await told(cut), [400, "request_wrong"]);
    const refused = async (parts: Record<string, string | Uint8Array>) => {
      const { status, body } = await post(parts);
      return [status, body.error];
    };
    const file = signed;
    assert.deepEqual(await refused({ trust: "india", file: new Uint8Array(200_000) }), [
      413,
      "too_large",
    ]);
    assert.deepEqual(await refused({ trust: "india" }), [400, "request_wrong"]);
    assert.deepEqual(await refused({ file }), [400, "request_wrong"]);
    assert.deepEqual(await refused({ file, trust: "china" }), [400, "trust_unknown"]);
    assert.deepEqual(await refused({ file, trust: "india", pan: "ABCDE1234F" }), [
      400,
      "request_wrong",
    ]);
    assert.deepEqual(await refused({ file, trust: "india", more: "x" }), [400, "request_wrong"]);
    assert.deepEqual(await refused({ file, trust: "india", extra: file }), [400, "request_wrong"]);
    const text = new TextEncoder().encode("no signature");
    assert.deepEqual(await refused({ file: text, trust: "india" }), [422, "document_malformed"]);
  }));

Deno.test("an overloaded service says so before it reads anything", () =>
  withService({ requests: 1 }, async ({ url, signed, post }) => {
    const bytes = new Uint8Array(
      await new Response(formOf({ file: signed, trust: "india" })).arrayBuffer(),
    );
    const { port } = new URL(url);
    using slow = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    const head =
      `POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\n` +
      `content-length: ${bytes.length}\r\n\r\n`;
    await slow.write(new TextEncoder().encode(head));
    let refused: Response | undefined;
    for (let i = 0; i < 200 && refused?.status !== 503; i++) {
      await refused?.body?.cancel();
      refused = await fetch(`${url}/v1/verify`, {
        method: "POST",
        body: formOf({ file: signed, trust: "india" }),
      });
    }
    assert.equal(refused!.status, 503);
    assert.equal(refused!.headers.get("retry-after"), "1");
    assert.equal((await refused!.json()).error, "busy");
    const ready = await fetch(`${url}/readyz`);
    assert.equal(ready.status, 503);
    await ready.body?.cancel();
    // the slow one goes away: its place is free again
    await slow.closeWrite();
    for (let i = 0; i < 200; i++) {
      const { status } = await post({ file: signed, trust: "india" });
      if (status === 200) return;
    }
    assert.fail("the place is still taken");
  }));

Deno.test("a caller who waits to be told to send is refused without having sent anything", () =>
  withService({ uploadBytes: 2000 }, async ({ url }) => {
    const { port } = new URL(url);
    const answerTo = async (length: number) => {
      using caller = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      const head = `POST /v1/verify HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n` +
        `content-type: multipart/form-data; boundary=x\r\ncontent-length: ${length}\r\n\r\n`;
      await caller.write(new TextEncoder().encode(head));
      const answer = new Uint8Array(1000);
      return new TextDecoder().decode(answer.subarray(0, (await caller.read(answer))!));
    };
    assert.match(await answerTo(2001), /^HTTP\/1\.1 413 /);
    assert.match(await answerTo(2000), /^HTTP\/1\.1 100 /);
  }));

Deno.test("a file that does not arrive in time is refused", () =>
  withService({ uploadSeconds: 1 }, async ({ url }) => {
    const { port } = new URL(url);
    using slow = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    const head = "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n" +
      "content-type: multipart/form-data; boundary=x\r\n\r\n";
    await slow.write(new TextEncoder().encode(head));
    const answer = new Uint8Array(1000);
    const length = await slow.read(answer);
    const text = new TextDecoder().decode(answer.subarray(0, length!));
    assert.match(text, /^HTTP\/1\.1 400 /);
  }));

Deno.test("when the caller hangs up, reading ends, and the next caller is served", () =>
  withService({ requests: 1, seconds: 600 }, async ({ url, signed }) => {
    const body = new Uint8Array(
      await new Response(formOf({ file: signed, trust: "india" })).arrayBuffer(),
    );
    const boundary = new TextDecoder().decode(body.subarray(2, body.indexOf(13)));
    const { port } = new URL(url);
    const figure = async (name: string) => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      return Number(new RegExp(`^dsign_verify_${name} (\\d+)$`, "m").exec(metrics)![1]);
    };
    const until = async (name: string, wanted: number) => {
      for (let i = 0; i < 1000 && await figure(name) !== wanted; i++) {
        await new Promise((done) => setTimeout(done, 10));
      }
      assert.equal(await figure(name), wanted, name);
    };
    for (let i = 0; i < 2; i++) {
      using caller = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      const head = `POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n` +
        `content-type: multipart/form-data; boundary=${boundary}\r\n\r\n`;
      await caller.write(concat(new TextEncoder().encode(head), body));
      await until("reader_processes", 1);
      caller.closeWrite();
      await until("requests_in_flight", 0);
      await until("reader_processes", 0);
    }
  }, ENDLESS_READER));

Deno.test("hostile files and killed readers give no wrong verdict, and others are served", () =>
  withService({ seconds: 5 }, async ({ url, signed, post }) => {
    const hostile = ["damaged.pdf", "inflating.pdf", "nested.pdf", "nested.p7s", "xref-loop.pdf"];
    const bad = hostile.map(async (name) => {
      const { status, body } = await post({ trust: "india", file: hostileBytes(name) });
      if (status === 200) assert.equal(body.ok, false, name);
      else assert.deepEqual([status, body.error], [422, "document_malformed"], name);
    });
    const good = Array.from({ length: 10 }, async () => {
      const { status, body } = await post({ file: signed, trust: "india" });
      assert.deepEqual([status, body.ok], [200, true]);
    });
    await Promise.all([...bad, ...good]);
    for (let i = 0; i < 5; i++) {
      // once for each file, as it may happen; a second time would be an error of its own
      const [{ status, body }] = await Promise.all([
        post({ file: signed, trust: "india" }),
        new Promise((done) => setTimeout(done, 20 * i)).then(killReaders),
      ]);
      assert.deepEqual([status, body.ok], [200, true], JSON.stringify(body));
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(
      metrics,
      /^dsign_verify_request_seconds_count\{status="200",indication="TOTAL-PASSED"\} \d+$/m,
    );
    assert.doesNotMatch(metrics, /Asha/);
  }));

/** Ends this process's readers as a system short of memory would (on Linux). */
async function killReaders(): Promise<void> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-o", "pid=,args=", "--ppid", `${Deno.pid}`],
  }).output();
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const [, pid] = /^\s*(\d+) .* reader$/.exec(line) ?? [];
    if (!pid) continue;
    Deno.kill(Number(pid), "SIGKILL");
    // until that is known here
    while (await Deno.stat(`/proc/${pid}`).then(() => true, () => false)) {
      await new Promise((done) => setTimeout(done, 5));
    }
  }
}

Deno.test("over a socket file too, and the document of the interface is valid", () =>
  inTempDir(async (dir) => {
    const pki = makePki({ officers: [{ name: "Asha", key: "p-256" }] });
    await Deno.writeTextFile(join(dir, "root.crt"), pem("CERTIFICATE", pki.root.certificate.der));
    const socket = join(dir, "socket");
    const config = VerifyConfig.parse({
      listen: `unix:${socket}`,
      trust: { india: dir },
      online: false,
    });
    const options = { version: "1.2.3", readerCommand: READER_COMMAND };
    // an instance that was killed leaves its socket behind
    Deno.listen({ transport: "unix", path: socket }).close();
    const service = await startVerifyService(config, options);
    try {
      await assert.rejects(startVerifyService(config, options), { code: "busy" });
      const file = join(dir, "order.pdf");
      await Deno.writeFile(
        file,
        signPdf(classicPdf(documentObjects()), pki.officers[0]) as Uint8Array<ArrayBuffer>,
      );
      const curl = async (...args: string[]) => {
        const { stdout } = await new Deno.Command("curl", {
          args: ["-s", "--unix-socket", socket, ...args],
        }).output();
        return JSON.parse(new TextDecoder().decode(stdout));
      };
      const answer = VerifyAnswer.parse(
        await curl(
          "-F",
          `file=@${file}`,
          "-F",
          "trust=india",
          "-F",
          "revocation=if-available",
          "http://x/v1/verify",
        ),
      );
      assert.equal(answer.ok, true, JSON.stringify(answer));
      assert.equal(answer.file, "order.pdf");
      const document = await curl("http://x/v1/openapi.json");
      assert.deepEqual(document, JSON.parse(JSON.stringify(verifyOpenapi("1.2.3"))));
      const { valid, errors } = await new Validator().validate(document);
      assert.ok(valid, JSON.stringify(errors));
    } finally {
      await service.close();
    }
  }));
