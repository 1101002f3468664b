/** Mutated JSON: canonical form, JWS, signing routes. */
import assert from "node:assert/strict";
import { canonicalJson } from "../../formats/json/canonical.ts";
import { verifyJws } from "../../formats/json/jws_verify.ts";
import { readRoute } from "../../formats/json/route.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { sameBytes } from "../../formats/x509/certificate.ts";
import { makeRoute, signJws, signRoute } from "../fixtures/signed_files.ts";
import { attempt } from "./attempt.ts";
import { Honest, pkiOf, trusting } from "./honest.ts";

const pki = pkiOf({ name: "Asha" }, { name: "Bimal", key: "p-256" });
const [asha, bimal] = pki.officers.map((officer) => ({ ...officer, chain: [] }));
const utf8 = new TextEncoder();
const content = utf8.encode('{"amount":"1200.00","bill":7,"items":[1,2.5e3,null,true,"\\u00e9"]}');
const options = trusting(pki);

export const words = [
  ...["{", "}", "[", "]", ",", ":", '"', "\\", "\\u0000", "\\ud800", "null", "true", "1e999", "-0"],
  ...["1.0", "12345678901234567890", '"payload":', '"signatures":', '"protected":', '"header":{}'],
  ...['"route":', '"statements":[', '"type":', '"crit":["b64"]', "eyJ", "e30", ".", "__proto__"],
  ...['"__proto__":{}', '"amount":1', "\ufeff", "\u2028", "AAAA", "==", "-_"],
];

const honest = new Honest(
  (bytes) => attempt(() => verifyBytes(bytes, options)),
  (bytes, { route }) => {
    if (route) return route.content.sha256;
    const text = new TextDecoder().decode(bytes).trim();
    const payload = text.startsWith("{") ? JSON.parse(text).payload : text.split(".")[1];
    return Uint8Array.fromBase64(payload, { alphabet: "base64url" }).toHex();
  },
);

export function seeds(): Promise<Uint8Array[]> {
  const jws = signJws(asha, { payload: content });
  const { payload, signatures: [signature] } = JSON.parse(jws);
  const signed = [
    jws,
    signJws(bimal, { jws }),
    JSON.stringify({ payload, ...signature }),
    `${signature.protected}.${payload}.${signature.signature}`,
    signRoute(asha, makeRoute([asha, bimal], content), content),
  ].map((text) => utf8.encode(text));
  honest.learn(signed);
  return Promise.resolve([
    content,
    ...signed,
    utf8.encode(atob(signature.protected.replaceAll("-", "+").replaceAll("_", "/"))),
    utf8.encode(makeRoute([asha, bimal], content)),
  ]);
}

/** @throws whatever no reader of JSON may throw */
export function exercise(bytes: Uint8Array): void {
  const canonical = attempt(() => canonicalJson(bytes));
  if (canonical) assert.ok(sameBytes(canonicalJson(canonical), canonical), "canonical form is not");
  const text = new TextDecoder().decode(bytes);
  attempt(() => verifyJws(text));
  attempt(() => readRoute(text));
  honest.check(bytes);
}
