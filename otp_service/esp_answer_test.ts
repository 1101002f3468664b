/** What counts as an eSign service's answer, and how it ends a transaction. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readSignedData, type SignedData } from "../formats/cms/read.ts";
import { tlv } from "../formats/asn1/der.ts";
import { sentenceFor } from "../formats/xml/esign.ts";
import { prepareXmlSignature } from "../formats/xml/xades.ts";
import { type EspChoices, FakeEsp, indefinite } from "../tests/fakes/esp.ts";
import { CLIENT, POLICY, PUBLIC_URL, REDIRECT } from "../tests/fixtures/otp_service.ts";
import type { Party } from "../tests/fixtures/issue.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { createHandler } from "./server.ts";
import {
  ask,
  bring,
  ESP_ORIGIN,
  eventsOf,
  MINUTE,
  other,
  PDF,
  start,
  stateOf,
  withDesk,
} from "../tests/fixtures/esp_desk.ts";

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
