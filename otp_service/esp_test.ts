/** Signing by an ESP through the service's routes: the eSign API 2.1, and every answer that must not count. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { join } from "node:path";
import { readAsn1 } from "../formats/asn1/read.ts";
import { readSignedData, type SignedData } from "../formats/cms/read.ts";
import { tlv } from "../formats/asn1/der.ts";
import { digest } from "../formats/digest.ts";
import { readEsignResponse, sentenceFor } from "../formats/xml/esign.ts";
import { verifyReceipt } from "../formats/log/checkpoint.ts";
import { prepareSignature, signedBytes } from "../formats/pades/prepare.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import { bytesSource } from "../formats/source.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { prepareXmlSignature } from "../formats/xml/xades.ts";
import { type EspChoices, espKeys, espOptions, FakeEsp, indefinite } from "../tests/fakes/esp.ts";
import { startPkiServices } from "../tests/fakes/pki_services.ts";
import { inTempDir, openssl, run } from "../tests/fixtures/openssl.ts";
import {
  CLIENT,
  makeService,
  OTHER_CLIENT,
  POLICY,
  PUBLIC_URL,
  REDIRECT,
  type TestService,
  type TestServiceOptions,
} from "../tests/fixtures/otp_service.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { pdfsig } from "../tests/fixtures/pdf_tools.ts";
import { makeCrl, type Party } from "../tests/fixtures/issue.ts";
import { pem } from "../formats/asn1/pem.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { entryOf } from "./audit.ts";
import type { Database } from "./database.ts";
import { createHandler } from "./server.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";

const PDF = classicPdf(documentObjects());
const MINUTE = 60_000;
const { officers: [portal, other] } = makePki({
  officers: [{ name: "Portal (TEST)" }, { name: "Another" }],
});
const ESP_KEYS = espKeys();
const ESP_URL = "https://esp.example/2.1/signdoc";
const ESP_ORIGIN = "https://esp.example";
const START = { purpose: "Technical Sanction 7", redirect_uri: REDIRECT, state: "s-7" };

interface Desk {
  test: TestService;
  fake: FakeEsp;
}

function desk(options: TestServiceOptions = {}, fake?: FakeEsp): Desk {
  const clock = options.clock ?? { now: Date.now() };
  fake ??= new FakeEsp(
    { id: "WORKS-1", certificate: portal!.certificate.der },
    () => clock.now,
    ESP_KEYS,
  );
  const esp = espOptions(fake, portal!, ESP_URL);
  const secret = new Uint8Array(32).fill(9); // all instances have one
  const test = makeService({ secret, ...options, clock, esp });
  return { test, fake };
}

/** As the portal asks. */
async function begin(
  { test }: Desk,
  query: Record<string, string> = {},
  body: Uint8Array = PDF,
  client = CLIENT,
) {
  const response = await test.handler(
    new Request(`${PUBLIC_URL}/portal/v1/esign?${new URLSearchParams({ ...START, ...query })}`, {
      method: "POST",
      headers: { authorization: `Bearer ${await test.token(client)}` },
      body: new Uint8Array(body),
    }),
  );
  return { status: response.status, body: await response.json() };
}

const get = (test: TestService, url: string) => test.handler(new Request(url));

/** The form that the browser would POST to the ESP, read from the page. */
async function formOf(test: TestService, location: string): Promise<Record<string, string>> {
  const html = await (await get(test, location)).text();
  assert.match(html, new RegExp(`<form method="post" action="${ESP_URL}" id="go">`));
  const plain = (text: string) =>
    text.replace(/&#39;/g, "'").replace(/&quot;/g, '"').replace(/&lt;/g, "<").replace(/&gt;/g, ">")
      .replace(/&amp;/g, "&");
  return Object.fromEntries(
    [...html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
      .map(([, name, value]) => [plain(name), plain(value)]),
  );
}

async function start(at: Desk, query?: Record<string, string>) {
  const { status, body } = await begin(at, query);
  assert.equal(status, 201, JSON.stringify(body));
  return {
    id: body.transaction as string,
    location: body.location as string,
    fields: await formOf(at.test, body.location),
  };
}

/** The browser brings an answer. */
async function bring(
  { test }: Desk,
  form: Record<string, string>,
  { origin = ESP_ORIGIN, multipart = false }: { origin?: string | null; multipart?: boolean } = {},
) {
  const body = multipart ? new FormData() : new URLSearchParams();
  for (const [name, value] of Object.entries(form)) body.set(name, value);
  const response = await test.handler(
    new Request(`${PUBLIC_URL}/esign/response`, {
      method: "POST",
      body,
      headers: origin === null ? {} : { origin },
    }),
  );
  return {
    status: response.status,
    text: await response.text(),
    back: response.headers.get("location"),
  };
}

async function ask({ test }: Desk, id: string, client = CLIENT, path = "") {
  const response = await test.handler(
    new Request(`${PUBLIC_URL}/portal/v1/esign/${id}${path}`, {
      headers: { authorization: `Bearer ${await test.token(client)}` },
    }),
  );
  return response;
}

const stateOf = async (at: Desk, id: string, client = CLIENT) =>
  await (await ask(at, id, client)).json();

async function eventsOf({ test }: Desk, id: string) {
  return (await test.audit()).filter(({ transaction }) => transaction === id)
    .map(({ event, code }) => code ? `${event} ${code}` : event);
}

async function withDesk(body: (at: Desk) => Promise<void>): Promise<void> {
  const at = desk();
  try {
    await body(at);
    assert.equal((await at.test.service.store.verifyAudit()).problem, undefined);
  } finally {
    await at.test.close();
  }
}

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

Deno.test("an ESP's answer counts once and within its time, in other ESPs' form too", () =>
  withDesk(async (at) => {
    const { fake, test: { clock } } = at;
    const { id, fields } = await start(at);
    const answer = fake.approve(fields, "Anita Sen", {
      withoutKeyInfo: true,
      pkcs7: (made) => made,
      xml: (answer) =>
        answer.replace(/[A-Za-z0-9+/]{100,}/g, (text) => text.replace(/.{76}/g, "$&\n")),
    });
    assert.match(answer.eSignResponse!, /\n/);
    const browsers = answer.eSignResponse!.replaceAll("\n", "\r\n"); // HTML: form submission

    assert.equal((await bring(at, { msg: browsers })).status, 303);
    // The browser repeats its POST: nothing changes, and it finds back. Any other answer is refused.
    assert.equal((await bring(at, { eSignResponse: browsers })).status, 303);
    const refused = await bring(at, fake.cancel(fields));
    assert.equal(refused.status, 400);
    assert.match(refused.text, /This eSign transaction is over/);
    assert.equal((await stateOf(at, id)).state, "signed");
    assert.deepEqual(await eventsOf(at, id), [
      "esign.started",
      "esign.signed",
      "esign.refused repeated",
      "esign.refused over",
    ]);

    const late = await start(at);
    const lateAnswer = fake.approve(late.fields, "Anita Sen");
    clock.now += 31 * MINUTE;
    assert.equal((await bring(at, lateAnswer)).status, 400, "too late, though nobody has swept");
    assert.deepEqual((await eventsOf(at, late.id)).at(-1), "esign.refused over");

    // two different answers at the same time: one counts, and the other is told so
    const both = await start(at);
    const statuses = await Promise.all(
      [fake.approve(both.fields, "Anita Sen"), fake.cancel(both.fields)]
        .map(async (answer) => (await bring(at, answer)).status),
    );
    assert.deepEqual(statuses.sort(), [303, 400]);
    assert.equal((await eventsOf(at, both.id)).at(-1), "esign.refused over");

    clock.now = fake.party.certificate.notAfter.getTime() + 1;
    const old = await start(at);
    assert.equal((await bring(at, fake.cancel(old.fields))).status, 400, "an old certificate");
    assert.equal((await eventsOf(at, old.id)).at(-1), "esign.refused not_accepted");
  }));

/** The ESP answers once more, in whatever way: an ESP that has gone wrong, or one that forgot the transaction. */
const anew = (fake: FakeEsp, fields: Record<string, string>) => (choices: EspChoices) =>
  new FakeEsp(fake.asp, fake.now, fake.keys).approve(fields, "Anita Sen", {
    signer: fake.party,
    ...choices,
  });

const sha1 = (key: Party["key"]): Party["key"] => ({
  ...key,
  algorithm: { ...key.algorithm, hash: "SHA-1" },
});

/** The ESP's XML Signature over something else, which stands in it. */
function enveloping({ certificate, key }: Party): string {
  const prepared = prepareXmlSignature({
    certificate: certificate.der,
    chain: [],
    algorithm: key.algorithm,
    packaging: {
      kind: "enveloping",
      content: new TextEncoder().encode("other"),
      mediaType: "text/plain",
    },
  });
  const file = prepared.complete(signBytes(key, prepared.toBeSigned));
  return new TextDecoder().decode(file).replace(/^<\?xml[^>]*>/, "");
}

Deno.test("an answer that is not the ESP's or not for this document is refused, and the true one still counts", () =>
  withDesk(async (at) => {
    const { fake } = at;
    const { id, fields } = await start(at);
    const good = fake.approve(fields, "Anita Sen");
    const again = anew(fake, fields);
    const xml = good.eSignResponse!;
    const changed = (from: string | RegExp, to: string) => {
      assert.notEqual(xml.replace(from, to), xml);
      return { eSignResponse: xml.replace(from, to) };
    };
    const body = /<UserX509Certificate>.*<\/Signatures>/s.exec(xml)![0];
    const hostile = {
      "signed by somebody else": again({ signer: other! }),
      "another document": again({ digest: new Uint8Array(32) }),
      "another person's certificate": again({ certificate: other!.certificate.der }),
      "a changed status": changed('status="1"', 'status="0"'),
      "a changed certificate": changed("<UserX509Certificate>MII", "<UserX509Certificate>MIJ"),
      "no signature": changed(/<ds:Signature .*<\/ds:Signature>/s, ""),
      "a second body": changed("<UserX509Certificate>", `${body}<UserX509Certificate>`),
      "wrapped": {
        eSignResponse: `<EsignResp status="1" txn="${id}">${body}` +
          `${xml.replace(/^<\?xml[^>]*\?>/, "")}</EsignResp>`,
      },
      "a no of somebody else": fake.cancel(fields, { signer: other! }),
      "signed with SHA-1": again({ signer: { ...fake.party, key: sha1(fake.party.key) } }),
      "signed in part": {
        eSignResponse: `<EsignResp status="1" txn="${id}">${body}${
          enveloping(fake.party)
        }</EsignResp>`,
      },
    };
    for (const [name, answer] of Object.entries(hostile)) {
      const { status, text } = await bring(at, answer);
      assert.equal(status, 400, name);
      assert.match(text, /This answer was not accepted/, name);
    }
    // of one transaction an answer for another
    const second = await start(at, { reason: "Another" });
    assert.equal(
      (await bring(at, fake.approve(second.fields, "Anita Sen", { txn: id }))).status,
      400,
    );
    // from another site, or one that hides what it is
    for (const origin of ["https://evil.example", "null", `${ESP_ORIGIN}.evil.example`]) {
      assert.equal((await bring(at, good, { origin })).status, 400, origin);
    }
    const events = await eventsOf(at, id);
    const count = Object.keys(hostile).length;
    assert.deepEqual(events, [
      "esign.started",
      ...Array.from({ length: count + 1 }, () => "esign.refused not_accepted"),
      ...Array.from({ length: 3 }, () => "esign.refused origin"),
    ]);
    // strangers cannot fill the audit: neither by a transaction that they know …
    for (let i = 0; i < 20; i++) await bring(at, hostile["no signature"]);
    assert.equal((await eventsOf(at, id)).length, 1 + 20);
    // … nor without one
    const before = (await at.test.audit()).length;
    for (
      const text of [
        again({ txn: "another" }).eSignResponse!,
        "<EsignResp",
        '<!DOCTYPE x [<!ENTITY e "e">]><EsignResp txn="&e;"/>',
        "x".repeat(2_000_000),
      ]
    ) {
      const { status } = await bring(at, { eSignResponse: text });
      assert.ok(status === 400 || status === 413, text.slice(0, 20));
    }
    for (const each of [{} as Record<string, string>, { other: "x" }]) {
      assert.equal((await bring(at, each)).status, 400);
    }
    const twice = await at.test.handler(
      new Request(`${PUBLIC_URL}/esign/response`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "msg=a&msg=b",
      }),
    );
    assert.equal(twice.status, 400);
    assert.equal((await at.test.audit()).length, before);

    assert.equal((await bring(at, good, { origin: null })).status, 303);
    assert.equal((await stateOf(at, id)).state, "signed");
  }));

Deno.test("the ESP's own answer is refused unless it is one detached signature over the document", () =>
  withDesk(async (at) => {
    const { fake } = at;
    const { id, fields } = await start(at);
    const again = anew(fake, fields);
    const good = fake.approve(fields, "Anita Sen");
    const xml = good.eSignResponse!;
    const signature = /<ds:Signature .*<\/ds:Signature>/s.exec(xml)![0];
    const cms = (pkcs7: EspChoices["pkcs7"]) => again({ pkcs7 });
    const fieldsOf = (change: (fields: Uint8Array[], made: SignedData) => void) =>
      cms((made) => indefinite(made, (fields) => change(fields, readSignedData(made))));
    const isNone = /not a response of an eSign/, isBad = /is invalid or is for another document/;
    const hostile: [string, Record<string, string>, RegExp][] = [
      ["another hash", again({ digest: new Uint8Array(64), hash: "SHA-512" }), isBad],
      ["SHA-1", again({ digest: new Uint8Array(20), hash: "SHA-1" }), isBad],
      [
        "two signers",
        fieldsOf((fields, { signers: [{ node }] }) =>
          fields.splice(-1, 1, tlv(0x31, node.bytes, node.bytes))
        ),
        isBad,
      ],
      ["no signer", fieldsOf((fields) => fields.splice(-1, 1, tlv(0x31))), isBad],
      ["no certificate", fieldsOf((fields) => fields.splice(-2, 1)), isBad],
      [
        "the content within",
        fieldsOf((fields, { encapsulated }) =>
          fields.splice(
            2,
            1,
            tlv(0x30, encapsulated.children[0]!.bytes, tlv(0xa0, tlv(0x04, PDF))),
          )
        ),
        /already contains its content/,
      ],
      ["bytes behind", cms((made) => Uint8Array.of(...made, 5, 0)), /cannot be read/],
      ["zeros behind", cms((made) => Uint8Array.of(...indefinite(made), 0, 0)), /cannot be read/],
      ["cut off", cms((made) => indefinite(made).subarray(0, -2)), /cannot be read/],
      [
        "two signatures",
        again({ xml: (answer) => answer.replace(/<DocSignature .*<\/DocSignature>/s, "$&$&") }),
        isNone,
      ],
      [
        "an element within",
        again({
          xml: (answer) => answer.replace(/(<DocSignature [^>]*>)([^<]*)/, "$1<Part>$2</Part>"),
        }),
        isNone,
      ],
      [
        "over document 2",
        again({ xml: (answer) => answer.replace('Signature id="1"', 'Signature id="2"') }),
        /no signature of the document/,
      ],
      [
        "the answer's signature within the person's",
        {
          eSignResponse: xml.replace(signature, "")
            .replace(/<DocSignature [^>]*>/, (tag) => tag + signature),
        },
        isNone,
      ],
      [
        "two references",
        { eSignResponse: xml.replace(/<ds:Reference .*<\/ds:Reference>/s, "$&$&") },
        isNone,
      ],
    ];
    for (const [name, answer] of hostile) assert.equal((await bring(at, answer)).status, 400, name);
    const refused = (await at.test.audit()).filter(({ transaction, event }) =>
      transaction === id && event === "esign.refused"
    );
    assert.equal(refused.length, hostile.length);
    for (const [i, [name, , reason]] of hostile.entries()) {
      assert.match(refused[i]!.reason as string, reason, name);
    }
    assert.equal((await bring(at, good)).status, 303);
  }));

Deno.test("anything a browser sends gets an answer, and signs nothing that the ESP did not sign (property)", () =>
  withDesk(async (at) => {
    const { fake } = at;
    let { id, fields } = await start(at);
    let good = fake.approve(fields, "Anita Sen").eSignResponse!;
    const piece = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(
        "<",
        "&#0;",
        "</EsignResp>",
        "<DocSignature/>",
        "<!--",
        'status="0"',
        "\u0000",
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(40), piece, async (place, length, put) => {
        const where = place % good.length;
        const text = good.slice(0, where) + put + good.slice(where + length);
        const { status } = await bring(at, { eSignResponse: text });
        const { state, signer } = await stateOf(at, id);
        if (status === 400) return assert.equal(state, "waiting");
        // nothing that counts was changed
        assert.deepEqual([status, state, signer], [303, "signed", "Anita Sen"]);
        ({ id, fields } = await start(at));
        good = fake.approve(fields, "Anita Sen").eSignResponse!;
      }),
      { numRuns: 100 },
    );
  }));

Deno.test("the ESP's signature counts only with a current eSign certificate of its authority", () =>
  withDesk(async (at) => {
    const { fake, test: { clock } } = at;
    const failure = async (answer: (fields: Record<string, string>) => Record<string, string>) => {
      const { id, fields } = await start(at);
      const { status, back } = await bring(at, answer(fields));
      assert.equal(status, 303);
      const { state, error, signer } = await stateOf(at, id);
      assert.deepEqual([state, signer], ["failed", undefined]);
      assert.equal(new URL(back!).searchParams.get("error"), error.code);
      assert.equal((await ask(at, id, CLIENT, "/document")).status, 409);
      assert.deepEqual((await eventsOf(at, id)).slice(1), [`esign.failed ${error.code}`]);
      return error.code;
    };
    const approve = (by: FakeEsp) => (fields: Record<string, string>) =>
      by.approve(fields, "Anita Sen", { signer: fake.party });
    assert.equal(
      await failure(approve(new FakeEsp(fake.asp, fake.now))),
      "certificate_untrusted",
      "an authority of the same name",
    );
    assert.equal(
      await failure((fields) => fake.approve(fields, "Anita Sen", { policies: [POLICY] })),
      "certificate_kind",
    );
    assert.equal(
      await failure((fields) => {
        clock.now -= 40 * MINUTE;
        const old = fake.approve(fields, "Anita Sen");
        clock.now += 40 * MINUTE;
        return old;
      }),
      "certificate_time",
    );
    assert.equal(
      await failure((fields) => fake.approve(fields, "Anita Sen ".repeat(8000))),
      "too_large",
    );
  }));

Deno.test("a refusal by the ESP is explained in a sentence and ends the transaction", () =>
  withDesk(async (at) => {
    const { fake, test: { clock } } = at;
    const told = async (fields: Record<string, string>, answer: Record<string, string>) => {
      assert.equal((await bring(at, answer)).status, 303);
      return (await stateOf(at, fields.aspTxnID!)).error;
    };
    const { id, fields } = await start(at);
    const { back } = await bring(at, fake.cancel(fields));
    assert.equal(back, `${REDIRECT}&transaction=${id}&state=s-7&error=ESP-944`);
    const { state, error } = await stateOf(at, id);
    assert.deepEqual([state, error.code], ["failed", "ESP-944"]);
    assert.match(error.message, /You ended the signing/);
    assert.equal((await bring(at, fake.approve(fields, "Anita Sen"))).status, 400);

    const { fields: used } = await start(at);
    fake.approve(used, "Anita Sen");
    assert.equal((await told(used, fake.approve(used, "Anita Sen"))).code, "ESP-910");
    const { fields: slow } = await start(at);
    clock.now += 29 * MINUTE;
    const changed = {
      ...slow,
      eSignRequest: slow.eSignRequest!.replace("Sanction 7", "Sanction 8"),
    };
    assert.equal((await told(slow, fake.approve(changed, "Anita Sen"))).code, "ESP-911");

    // neither yes nor no
    const { id: pending, fields: asked } = await start(at);
    const later = await bring(
      at,
      fake.cancel(asked, { xml: (answer) => answer.replace('status="0"', 'status="2"') }),
    );
    assert.equal(later.back, `${REDIRECT}&transaction=${pending}&state=s-7`);
    assert.equal((await stateOf(at, pending)).state, "waiting");
    // a portal that has another address by now
    const { service } = at.test;
    const clients = service.clients.map((client) => ({ ...client, redirectUris: [] }));
    const moved = createHandler({ ...service, clients });
    const lost = await bring({ ...at, test: { ...at.test, handler: moved } }, fake.cancel(asked));
    assert.deepEqual([lost.status, lost.back], [400, null]);
    assert.equal((await stateOf(at, pending)).error.code, "ESP-944");

    // as eMudhra names them, and of the document alone
    const named = (name: string) => ({
      xml: (answer: string) =>
        answer.replace("errCode", `${name}Code`).replace("errMsg", `${name}Message`),
    });
    const { fields: long } = await start(at);
    assert.equal((await told(long, fake.cancel(long, named("error")))).code, "ESP-944");
    const { fields: inner } = await start(at);
    assert.deepEqual(
      await told(
        inner,
        fake.approve(inner, "Anita Sen", {
          xml: (answer) =>
            answer.replace(/ sigHash[^>]*>[^<]*/, ' errorCode="ESP-777" errorMessage="No ink">'),
        }),
      ),
      { code: "ESP-777", message: "The eSign service says: No ink (ESP-777)" },
    );

    assert.equal(
      sentenceFor("ESP-777", "Odd\n\u001bthing"),
      "The eSign service says: Odd thing (ESP-777)",
    );
    assert.equal(sentenceFor("<b>", ""), "The eSign service did not sign.");
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
      for (let i = 0; i < 1000; i++) await tx.addEsign({ ...row, id: `${id}-${i}` }, PDF);
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
