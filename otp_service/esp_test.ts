/** Signing by an ESP through the service's routes: the eSign API 2.1. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readAsn1 } from "../formats/asn1/read.ts";
import { digest } from "../formats/digest.ts";
import { readEsignResponse } from "../formats/xml/esign.ts";
import { verifyReceipt } from "../formats/log/checkpoint.ts";
import { prepareSignature, signedBytes } from "../formats/pades/prepare.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import { bytesSource } from "../formats/source.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { indefinite } from "../tests/fakes/esp.ts";
import { startPkiServices } from "../tests/fakes/pki_services.ts";
import { inTempDir, openssl, run } from "../tests/fixtures/openssl.ts";
import {
  CLIENT,
  makeService,
  OTHER_CLIENT,
  POLICY,
  PUBLIC_URL,
  REDIRECT,
} from "../tests/fixtures/otp_service.ts";
import { pdfsig } from "../tests/fixtures/pdf_tools.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { entryOf } from "./audit.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";
import {
  ask,
  begin,
  bring,
  desk,
  eventsOf,
  formOf,
  get,
  MINUTE,
  PDF,
  portal,
  start,
  stateOf,
  withDesk,
} from "../tests/fixtures/esp_desk.ts";

/** The whole way, over two instances that share a database; then it closes, and another opens. */
async function wholeWay(open: () => Promise<Database>): Promise<void> {
  const clock = { now: Date.now() };
  const one = desk({ database: await open(), clock });
  const two = desk({ database: await open(), clock }, one.fake);
  const { fake } = one;
  const [{ id, location, fields }, left] = [await start(one), await start(two)];
  assert.deepEqual(Object.keys(fields), ["eSignRequest", "aspTxnID", "Content-Type"]);
  assert.equal(fields.aspTxnID, id);
  const shown = new Uint8Array(await (await get(two.test, `${location}/document`)).arrayBuffer());
  assert.deepEqual(shown.subarray(0, PDF.length), PDF, "the person reads what will be signed");
  assert.equal((await stateOf(two, id)).state, "waiting");
  assert.equal((await ask(two, id, CLIENT, "/document")).status, 409);

  // The same answer at the same time to both: it counts once.
  const answer = fake.approve(fields, "Anita Sen");
  const brought = await Promise.all(
    Array.from({ length: 10 }, (_, i) => bring(i % 2 ? one : two, answer, { multipart: i > 4 })),
  );
  for (const { status, back } of brought) {
    assert.equal(status, 303);
    assert.equal(back, `${REDIRECT}&transaction=${id}&state=s-7`);
  }
  await one.test.close();
  await two.test.close();

  const three = desk({ database: await open(), clock }, fake);
  try {
    const state = await stateOf(three, id);
    assert.deepEqual([state.state, state.kind, state.signer], ["signed", "esign", "Anita Sen"]);
    assert.match(atob(state.response), /<EsignResp /, "the ESP's answer is evidence");
    const pdf = new Uint8Array(await (await ask(three, id, CLIENT, "/document")).arrayBuffer());
    assert.deepEqual(pdf.subarray(0, PDF.length), PDF, "appended, nothing else");
    const { key } = three.test.service.store.log.signer;
    const receiptOf = async () => {
      const { receipt } = await stateOf(three, id);
      return JSON.parse(verifyReceipt(receipt, key, entryOf).line);
    };
    const line = await receiptOf();
    assert.deepEqual([line.event, line.transaction], ["esign.signed", id]);
    // as after a crash between the line and the note of it
    await three.test.service.store.run(async (tx) => {
      const { facts: { entry: _, ...facts }, ...row } = (await tx.esign(id))!;
      await tx.saveEsign({ ...row, facts });
    });
    assert.deepEqual(await receiptOf(), line);
    const [signature] = inspectSignatures(bytesSource(pdf)).signatures;
    assert.equal(signature!.subFilter, "adbe.pkcs7.detached");
    assert.equal(readAsn1(signature!.cms, { ber: true }).indefinite, true);
    const { signatures: [verified] } = verifyBytes(pdf, {
      now: new Date(clock.now),
      anchors: [fake.root.certificate],
      departmentalPolicies: [POLICY],
      revocation: "if_available",
    });
    assert.deepEqual(line.signatures, [verified!.signatureSha256]);
    assert.equal(verified!.indication, "TOTAL-PASSED");
    assert.equal(verified!.signer?.kind, "esign", "labelled as what it is");
    await inTempDir(async (dir) => {
      await Deno.writeFile(join(dir, "signed.pdf"), pdf);
      assert.deepEqual(await pdfsig(join(dir, "signed.pdf")), [{ valid: true, total: true }]);
    });
    const events = await eventsOf(three, id);
    for (const event of ["esign.started", "esign.signed", "esign.fetched"]) {
      assert.equal(events.filter((each) => each === event).length, 1, `${event}: ${events}`);
    }
    const signed = (await three.test.audit()).find(({ event }) => event === "esign.signed")!;
    assert.deepEqual([signed.kind, signed.client, signed.signer], [
      "ESP eSign",
      CLIENT.id,
      "Anita Sen",
    ]);

    // Nobody signed the other one; both are forgotten in time, and that is said.
    clock.now += 31 * MINUTE;
    await three.test.service.store.sweep();
    assert.equal((await stateOf(three, left.id)).error.code, "expired");
    assert.equal((await get(three.test, left.location)).status, 404);
    assert.equal((await bring(three, fake.approve(left.fields, "Anita Sen"))).status, 400);
    assert.deepEqual(await eventsOf(three, left.id), [
      "esign.started",
      "esign.failed expired",
      "esign.refused over",
    ]);
    clock.now += 8 * 24 * 60 * MINUTE;
    await three.test.service.store.sweep();
    for (const each of [id, left.id]) assert.equal((await ask(three, each)).status, 404);
    assert.equal((await eventsOf(three, id)).at(-1), "esign.deleted");
    assert.equal((await three.test.service.store.verifyAudit()).problem, undefined);
  } finally {
    await three.test.close();
  }
}

Deno.test("a PDF is signed by the ESP through two instances on SQLite, one of them restarted", () =>
  inTempDir((dir) => wholeWay(() => Promise.resolve(openSqlite(join(dir, "otp.db"))))));

Deno.test("a PDF is signed by the ESP through two instances on PostgreSQL, one of them restarted", async () => {
  const server = await startPostgres();
  try {
    const url = await server.createDatabase();
    await wholeWay(() => openPostgres(url, PATIENT));
  } finally {
    await server.close();
  }
});

Deno.test("timestamp and validation data outlive the certificate, and a source that fails costs nothing else", async () => {
  await using services = await startPkiServices({ officers: [] });
  const { timestampAuthority, subCa, ca, root } = services.pki;
  const isUp = { tsa: false, crl: false };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const chain = [subCa, ca, root].map(({ certificate }) => certificate.der);
    const answer = request.method === "GET"
      ? isUp.crl && makeCrl(at.fake.root, [])
      : isUp.tsa && answerTimestampRequest(timestampAuthority, await request.bytes(), { chain });
    return answer ? new Response(new Uint8Array(answer)) : new Response(null, { status: 503 });
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const at = desk({ tsa: url });
  at.fake.crlUrl = `${url}esign.crl`;
  try {
    const { fake } = at;
    const { id, fields } = await start(at);
    assert.equal((await bring(at, fake.approve(fields, "Anita Sen"))).status, 303);
    const fetched = async () => {
      const response = await ask(at, id, CLIENT, "/document");
      const { state, timestamped, longTerm } = await stateOf(at, id);
      return {
        pdf: new Uint8Array(await response.arrayBuffer()),
        has: [state, timestamped, longTerm],
      };
    };
    /** A day later. */
    const verify = (pdf: Uint8Array, anchors = [fake.root.certificate, root.certificate]) =>
      verifyBytes(pdf, {
        now: new Date(at.test.clock.now + 24 * 60 * MINUTE),
        anchors,
        departmentalPolicies: [],
      }).signatures[0]!.indication;
    const bare = await fetched();
    assert.deepEqual(bare.has, ["signed", false, false]);
    isUp.tsa = true;
    const stamped = await fetched();
    assert.deepEqual(stamped.has, ["signed", true, false]);
    assert.equal(verify(stamped.pdf), "INDETERMINATE", "whether it was revoked is not known");
    isUp.crl = true;
    const whole = await fetched();
    assert.deepEqual(whole.has, ["signed", true, true]);
    assert.equal(verify(whole.pdf), "TOTAL-PASSED");
    assert.equal(
      verify(whole.pdf, [fake.root.certificate]),
      "INDETERMINATE",
      "no proof of its time",
    );
    assert.deepEqual(await fetched(), whole);
    assert.deepEqual(await eventsOf(at, id), [
      ...["esign.started", "esign.signed", "esign.timestamp_failed", "esign.timestamp_failed"],
      ...["esign.fetched", "esign.timestamped", "esign.extended"],
    ]);
    await inTempDir(async (dir) => {
      for (const [{ pdf }, total] of [[stamped, true], [whole, false]] as const) {
        await Deno.writeFile(join(dir, "signed.pdf"), pdf);
        assert.deepEqual(await pdfsig(join(dir, "signed.pdf")), [{ valid: true, total }]);
      }
    });
  } finally {
    await at.test.close();
    await server.shutdown();
  }
});

Deno.test("xmlsec1 accepts the request's signature", () =>
  withDesk(async (at) => {
    const { fields } = await start(at);
    await inTempDir(async (dir) => {
      await Deno.writeTextFile(join(dir, "request.xml"), fields.eSignRequest!);
      await Deno.writeTextFile(join(dir, "asp.pem"), pem("CERTIFICATE", portal!.certificate.der));
      await run("xmlsec1", "xmlsec1", [
        ...["--verify", "--pubkey-cert-pem", join(dir, "asp.pem"), join(dir, "request.xml")],
      ]);
    });
    const xml = fields.eSignRequest!;
    assert.ok(!xml.includes("\n"), "forms change line ends");
    assert.match(xml, /<Esign ver="2\.1" sc="Y" ts="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d" /);
    assert.match(xml, / ekycIdType="A" /);
    assert.match(
      xml,
      new RegExp(
        ` AuthMode="1" responseSigType="pkcs7" responseUrl="${PUBLIC_URL}/esign/response"`,
      ),
    );
    assert.match(
      xml,
      /<InputHash id="1" hashAlgorithm="SHA256" docInfo="Technical Sanction 7">[0-9a-f]{64}</,
    );
  }));

Deno.test("a PKCS #7 streamed by OpenSSL is embedded", () =>
  withDesk(async ({ test, fake }) => {
    const source = bytesSource(PDF);
    const prepared = prepareSignature(source, { subFilter: "adbe.pkcs7.detached" });
    const covered = new Uint8Array(
      await new Blob([...signedBytes(source, prepared)].map((piece) => piece.slice()))
        .arrayBuffer(),
    );
    await inTempDir(async (dir) => {
      const person = makePki({ officers: [{ name: "Anita Sen" }] }).officers[0]!;
      await Deno.writeFile(join(dir, "covered"), covered);
      await Deno.writeTextFile(join(dir, "by.pem"), pem("CERTIFICATE", person.certificate.der));
      await Deno.writeTextFile(join(dir, "by.key"), pem("PRIVATE KEY", person.pkcs8));
      // This form of OpenSSL's streams has the content in it.
      const streamed = await openssl([
        ...["cms", "-sign", "-binary", "-stream", "-in", join(dir, "covered"), "-outform", "DER"],
        ...["-signer", join(dir, "by.pem"), "-inkey", join(dir, "by.key"), "-md", "sha256"],
      ]);
      assert.equal(readAsn1(streamed, { ber: true }).indefinite, true);
      const pkcs7 = indefinite(streamed);
      const { id: txn, fields } = await start({ test, fake });
      const answer = fake.approve(fields, "x", {
        pkcs7: () => pkcs7,
        certificate: person.certificate.der,
      });
      const bytes = new TextEncoder().encode(answer.eSignResponse);
      const expected = {
        txn,
        digest: digest("SHA-256", covered),
        esp: [fake.party.certificate.der],
      };
      const read = readEsignResponse(bytes, expected);
      assert.ok(read.ok);
      assert.throws(
        () => readEsignResponse(bytes, { ...expected, txn: "another" }),
        /belongs to another transaction/,
      );
      const signed = new Uint8Array([...PDF, ...prepared.complete(read.pkcs7)]);
      await Deno.writeFile(join(dir, "signed.pdf"), signed);
      assert.deepEqual(await pdfsig(join(dir, "signed.pdf")), [{ valid: true, total: true }]);
    });
  }));

Deno.test("portals are limited to their own transactions and addresses, to PDFs and to a valid certificate", () =>
  withDesk(async (at) => {
    const { test } = at;
    const { id, location } = await start(at);
    assert.equal((await ask(at, id, OTHER_CLIENT)).status, 404);
    assert.equal((await ask(at, id, OTHER_CLIENT, "/document")).status, 404);
    assert.equal((await ask(at, "WORKS1-none")).status, 404);
    const foreign = (await test.audit()).filter(({ code }) => code === "foreign");
    assert.deepEqual(foreign.map(({ client }) => client), [OTHER_CLIENT.id, OTHER_CLIENT.id]);
    const nobody = await get(test, `${PUBLIC_URL}/portal/v1/esign/${id}`);
    assert.equal(nobody.status, 400);

    const refused = async (query: Record<string, string>, body?: Uint8Array) =>
      (await begin(at, query, body)).body.error_description;
    assert.equal(
      await refused({ redirect_uri: "https://evil.example/" }),
      "Invalid parameter redirect_uri",
    );
    assert.equal(await refused({ lang: "fr" }), "Invalid parameter lang");
    for (const purpose of ["", "a\u0000b", "a\nb", "\uffff", "a\u202eb", "x".repeat(201)]) {
      assert.equal(await refused({ purpose }), "Invalid parameter purpose");
    }
    const odd = 'Road "Belda–Egra" <7> & \u{1F6A7}\u200b bridge '.repeat(3);
    assert.equal((await begin(at, { purpose: odd })).status, 201);
    assert.equal(
      await refused({}, new TextEncoder().encode("no PDF")),
      "The document cannot be signed",
    );
    await test.service.store.run(async (tx) => {
      const row = (await tx.esign(id))!;
      for (let i = 0; i < 1000; i++) tx.addEsign({ ...row, id: `${id}-${i}` }, PDF);
    });
    assert.equal((await begin(at)).status, 429);
    test.clock.now = portal!.certificate.notAfter.getTime() + 1;
    assert.equal((await begin(at)).status, 503);
    assert.equal((await get(test, location)).status, 404);
    assert.equal((await get(test, location.slice(0, -1))).status, 404);
  }));

Deno.test("the page explains itself in three languages, and shows foreign words as text", () =>
  withDesk(async (at) => {
    const { body: { location, transaction } } = await begin(at, {
      purpose: 'Sanction <script>"7"</script>\u200b',
      name: "a&b.pdf",
      lang: "bn",
    });
    const response = await get(at.test, location);
    const policy = response.headers.get("content-security-policy")!;
    assert.match(policy, /default-src 'none'/);
    assert.match(
      policy,
      /form-action 'self' https:\/\/esp\.example https:\/\/portal\.example https:/,
    );
    assert.equal(response.headers.get("referrer-policy"), "strict-origin");
    const html = await response.text();
    assert.match(html, /<html lang="bn">/);
    assert.match(html, /Sanction &lt;script&gt;&quot;7&quot;&lt;\/script&gt;\ufffd/);
    assert.match(html, /a&amp;b\.pdf/);
    assert.deepEqual(html.match(/<script.*?>/g), ['<script type="module" src="/web/esp.js">']);
    const fields = await formOf(at.test, location);
    const english = await (await get(at.test, `${location}?lang=en`)).text();
    assert.match(english, /ESP eSign/);
    assert.match(
      english,
      /not a departmental PIN\/OTP signature and not a signature with a DSC token/,
    );
    assert.match(english, /The eSign service at esp\.example/);
    assert.match(await (await get(at.test, `${location}?lang=hi`)).text(), /<html lang="hi">/);
    const reject = (origin: string) =>
      at.test.handler(
        new Request(`${location}/reject`, { method: "POST", headers: { origin } }),
      );
    assert.equal((await reject("https://evil.example")).status, 403);
    const rejected = await reject(PUBLIC_URL);
    assert.equal(
      rejected.headers.get("location"),
      `${REDIRECT}&transaction=${transaction}&state=s-7&error=rejected`,
    );
    assert.equal((await reject(PUBLIC_URL)).status, 404);
    assert.equal((await bring(at, at.fake.approve(fields, "Anita Sen"))).status, 400, "it is over");
    assert.deepEqual((await eventsOf(at, transaction)).slice(1), [
      "esign.failed rejected",
      "esign.refused over",
    ]);
    // without an ESP there is nothing of it
    const without = makeService();
    try {
      assert.equal((await get(without, location)).status, 404);
    } finally {
      await without.close();
    }
  }));
