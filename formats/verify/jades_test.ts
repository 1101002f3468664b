import assert from "node:assert/strict";
import {
  encodedJson,
  type Flattened,
  flattened,
  signedHeader,
} from "../../tests/fixtures/jades.ts";
import { makeCrl } from "../../tests/fixtures/issue.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { authorities, timestamp } from "../../tests/fixtures/signed_files.ts";
import { digest } from "../digest.ts";
import { jwsPayload } from "../json/jws_verify.ts";
import { encodeBase64url } from "../json/jws_header.ts";
import { verifyBytes } from "./verify.ts";

const now = new Date("2026-06-01T00:00:00Z");
const pki = makePki({
  now,
  officers: [{ name: "Asha", key: "p-256" }, { name: "Bimal", key: "p-256" }],
});
const [asha, bimal] = pki.officers;
const utf8 = new TextEncoder();
const BILL = utf8.encode('{"bill":7}');
const payload = encodeBase64url(BILL);
const thumb = (der: Uint8Array) => ({
  digAlg: "S512",
  digVal: encodeBase64url(digest("SHA-512", der)),
});
const iat = Math.floor(now.getTime() / 1000);
const named = { "x5t#o": thumb(asha.certificate.der), iat };

function verify(
  jws: unknown,
  content: Record<string, Uint8Array> = {},
  certificates: Uint8Array[] = [],
) {
  return verifyBytes(utf8.encode(typeof jws === "string" ? jws : JSON.stringify(jws)), {
    now,
    anchors: [pki.root.certificate],
    revocation: "if_available",
    certificates,
    content: (name) => {
      const bytes = content[name ?? ""];
      return bytes ? { digest: (hash) => digest(hash, bytes), bytes: () => bytes } : null;
    },
  });
}

/** Verdict, level and codes of the first signature. */
function told(...given: Parameters<typeof verify>): string {
  const [{ indication, level, findings }] = verify(...given).signatures;
  return [indication, String(level), ...findings.map(({ code }) => code)].join(" ");
}

const PASSED = "TOTAL-PASSED B-B";
const MISSING = "INDETERMINATE B-B content_missing";
const UNSUPPORTED = "INDETERMINATE B-B algorithm_unsupported";
const ANOTHER = "INDETERMINATE B-B certificate_not_as_signed";

Deno.test("every JAdES reference to the signer's certificate counts, and each must match", () => {
  const x5t = encodeBase64url(digest("SHA-256", asha.certificate.der));
  const right: Record<string, unknown>[] = [
    { "x5t#o": thumb(asha.certificate.der) },
    { "x5t#S256": x5t },
    { sigX5ts: [thumb(asha.certificate.der), thumb(pki.root.certificate.der)] },
  ];
  const wrong: Record<string, unknown>[] = [
    { "x5t#o": thumb(bimal.certificate.der) },
    { "x5t#S256": encodeBase64url(digest("SHA-256", bimal.certificate.der)) },
    { sigX5ts: [thumb(pki.root.certificate.der), thumb(asha.certificate.der)] },
    { "x5t#S256": x5t, "x5t#o": thumb(bimal.certificate.der) },
  ];
  for (const each of right) {
    assert.equal(told(flattened(asha, payload, { ...each, iat })), PASSED, JSON.stringify(each));
  }
  for (const each of wrong) {
    assert.equal(told(flattened(asha, payload, { ...each, iat })), ANOTHER, JSON.stringify(each));
  }
  const unknown = { "x5t#o": { digAlg: "MD5", digVal: "AA" }, iat };
  assert.equal(
    told(flattened(asha, payload, unknown)),
    "INDETERMINATE null algorithm_unsupported",
  );
});

Deno.test("a compact JWS is recognised by its first characters, however long its header is", () => {
  const { protected: header, signature } = flattened(asha, payload, {
    ...named,
    note: "x".repeat(20_000),
  });
  assert.equal(told(`${header}.${payload}.${signature}`), PASSED);
  assert.equal(told(` \n${header}.${payload}.${signature}\n`), PASSED);
});

Deno.test("pretty-printed JSON signatures and ones with an unprotected header are read", () => {
  const jws: Flattened = flattened(asha, payload, named);
  assert.equal(told(JSON.stringify(jws, null, 4)), PASSED);
  assert.equal(told({ ...jws, header: { kid: "a" } }), `${PASSED} unsigned_ignored`);
  assert.equal(told({ ...jws, note: "pay 9000" }), `${PASSED} unsigned_ignored`);
  // RFC 7515 §7.2.1: names stand in one header only.
  assert.equal(told({ ...jws, header: { iat } }), "TOTAL-FAILED null format_wrong");
  const { payload: _, ...signature } = jws;
  assert.throws(() => verify({ ...jws, signatures: [signature] }), { code: "jws_malformed" });
});

Deno.test("unsupported features in RFC 7515's examples are never called wrong", () => {
  const A1 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkz" +
    "ODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const A5 = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l" +
    "eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
  for (const jws of [A1, A5]) {
    assert.equal(told(jws), "INDETERMINATE null algorithm_unsupported");
  }
  const A3 = { alg: "ES256", x5c: undefined };
  assert.equal(
    told(flattened(asha, payload, A3)),
    "INDETERMINATE null certificate_missing signing_certificate_absent",
  );
  const given = [bimal.certificate.der, asha.certificate.der, ...asha.chain];
  assert.equal(
    told(flattened(asha, payload, { ...named, x5c: undefined }), {}, given),
    PASSED,
  );
});

Deno.test("JAdES' critical parameters are understood, and others are not ignored", () => {
  const sigT = "2026-05-31T00:00:00Z";
  const { iat: _, ...name } = named;
  assert.equal(told(flattened(asha, payload, { ...name, sigT, crit: ["sigT"] })), PASSED);
  assert.equal(
    told(flattened(asha, payload, { ...named, sigPl: { addressCountry: "IN" }, crit: ["sigPl"] })),
    `${PASSED} not_checked`,
  );
  assert.equal(told(flattened(asha, payload, { ...named, exp: 1, crit: ["exp"] })), UNSUPPORTED);
  assert.equal(
    told(flattened(asha, payload, { ...named, crit: ["exp"] })),
    "TOTAL-FAILED null format_wrong",
  );
  for (const time of [{ iat: 1e18 }, { iat: "x" }, { sigT: "tomorrow" }, { iat: null }]) {
    assert.match(
      told(flattened(asha, payload, { ...name, ...time })),
      /^INDETERMINATE null algorithm_unsupported$/,
    );
  }
});

Deno.test("an unencoded payload (b64: false) is distinguished from an encoded one", () => {
  const raw = { ...named, b64: false, crit: ["b64"] };
  assert.equal(told(flattened(asha, "bill 7, paid", raw)), PASSED);
  assert.equal(told({ ...flattened(asha, payload, raw), payload: "bill 8" }), FAILED);
  // The name in escapes is the same name.
  const escaped = flattened(asha, "AAAA", raw);
  const header = new TextDecoder().decode(
    Uint8Array.fromBase64(escaped.protected, { alphabet: "base64url" }),
  ).replaceAll('"b64"', '"\\u006264"');
  const again = signedHeader(asha, header, "AAAA");
  assert.equal(told(again), PASSED);
  assert.deepEqual(jwsPayload(JSON.stringify(again)), utf8.encode("AAAA"));
  const detached = { ...flattened(asha, '{"bill":7}', raw), payload: undefined };
  assert.equal(told(detached, { "": BILL }), PASSED);
  assert.equal(told(detached), MISSING);
  assert.equal(told(flattened(asha, payload, { ...named, b64: false })), MALFORMED);
});

const FAILED = "TOTAL-FAILED null signature_wrong";
const MALFORMED = "TOTAL-FAILED null format_wrong";

Deno.test("content named in the header (sigD) is checked joined or by its digests", () => {
  const [one, two] = ["first ", "second"].map((text) => utf8.encode(text));
  const pars = ["one.txt", "two.txt"];
  const joined = {
    ...named,
    sigD: { mId: "http://uri.etsi.org/19182/ObjectIdByURI", pars },
    crit: ["sigD"],
  };
  const signed = flattened(asha, encodeBase64url(utf8.encode("first second")), joined);
  const byUri = { ...signed, payload: undefined };
  // Nobody signed where the first ends.
  const joint = PASSED.replace("TOTAL-PASSED", "INDETERMINATE") + " ambiguous";
  const [less, more] = ["firs", "t second"].map((text) => utf8.encode(text));
  assert.equal(told(byUri, { "one.txt": one, "two.txt": two }), joint);
  assert.equal(told(byUri, { "one.txt": less, "two.txt": more }), joint);
  assert.equal(told(byUri, { "one.txt": two, "two.txt": one }), FAILED);
  assert.equal(told(byUri, { "one.txt": one }), MISSING);
  assert.equal(told(signed, { "one.txt": one, "two.txt": two }), MALFORMED);

  const hashV = [one, two].map((bytes) =>
    encodeBase64url(digest("SHA-256", utf8.encode(encodeBase64url(bytes))))
  );
  const digests = { mId: "http://uri.etsi.org/19182/ObjectIdByURIHash", pars, hashM: "S256" };
  const byHash = (sigD: unknown) => ({
    ...flattened(asha, "", { ...named, sigD, crit: ["sigD"] }),
    payload: undefined,
  });
  const hashed = byHash({ ...digests, hashV });
  assert.equal(told(hashed, { "one.txt": one, "two.txt": two }), PASSED);
  assert.equal(
    told(hashed, { "one.txt": one, "two.txt": one }),
    "TOTAL-FAILED null content_changed",
  );
  assert.equal(told(hashed, { "one.txt": one }), MISSING);
  assert.equal(told(byHash({ ...digests, hashV: [] })), MALFORMED);
  assert.equal(told(byHash({ ...digests, pars: [], hashV: [] })), MALFORMED);
  assert.equal(told(byHash({ mId: "http://uri.etsi.org/19182/HttpHeaders", pars })), UNSUPPORTED);
});

const val = (der: Uint8Array) => ({ val: der.toBase64() });

Deno.test("timestamps and values in etsiU make the level, and broken ones are only reported", () => {
  const jws = flattened(asha, payload, named);
  const stamp = (input: string) => ({
    tstTokens: [val(timestamp(pki, utf8.encode(input), now))],
  });
  const sigTst = encodedJson({ sigTst: stamp(jws.signature) });
  const crls = authorities(pki).map((authority) => val(makeCrl(authority, [], { now })));
  const rVals = encodedJson({ rVals: { crlVals: crls } });
  const before = [sigTst, rVals];
  const covered = `${payload}.${jws.protected}.${jws.signature}.${before.join("")}`;
  const arcTst = encodedJson({ arcTst: stamp(covered) });
  const etsiU = (...list: unknown[]) => ({ ...jws, header: { etsiU: list } });

  assert.equal(told(etsiU(sigTst)), "TOTAL-PASSED B-T");
  assert.equal(told(etsiU({ sigTst: stamp(jws.signature) })), "TOTAL-PASSED B-T");
  assert.equal(told(etsiU(...before)), "TOTAL-PASSED B-LT");
  assert.equal(told(etsiU(...before, arcTst)), "TOTAL-PASSED B-LTA");
  assert.match(told(etsiU(rVals, sigTst, arcTst)), /B-LT timestamp_not_accepted$/);
  const other = encodedJson({ sigTst: stamp("another signature") });
  assert.equal(told(etsiU(other)), `${PASSED} timestamp_not_accepted`);
  for (const broken of ["!", 7, {}, { sigTst: {} }, { sigTst: 1 }, { x: 1 }, { xVals: [{}] }]) {
    assert.equal(told(etsiU(broken)), `${PASSED} unsigned_ignored`, JSON.stringify(broken));
  }
  assert.equal(told({ ...jws, header: { etsiU: 1 } }), `${PASSED} unsigned_ignored`);
});

Deno.test("a countersignature in etsiU is checked and counts towards the file's verdict", () => {
  const jws = flattened(asha, payload, named);
  const of = (signature: string) =>
    flattened(bimal, signature, { "x5t#o": thumb(bimal.certificate.der), iat });
  const report = (cSig: unknown) => verify({ ...jws, header: { etsiU: [{ cSig }] } });
  const good = report(of(jws.signature));
  assert.equal(good.indication, "TOTAL-PASSED");
  assert.equal(good.signatures[0].countersignatures[0].signer?.commonName, "Bimal");
  const { payload: _, ...detached } = of(jws.signature);
  assert.equal(report(detached).indication, "TOTAL-PASSED");
  for (
    const broken of [
      of(payload),
      { ...of(jws.signature), signature: of(payload).signature },
      { ...of(payload), payload: jws.signature },
    ]
  ) {
    const { indication, signatures: [{ countersignatures }] } = report(broken);
    assert.deepEqual([indication, countersignatures[0].indication], [
      "TOTAL-FAILED",
      "TOTAL-FAILED",
    ]);
  }
});
