import assert from "node:assert/strict";
import { Pkcs11Error } from "./error.ts";
import type { TokenInfo } from "./messages.ts";
import { formatUri, matchesObject, matchesToken, parseUri } from "./uri.ts";

const refused = (text: string) => {
  let caught: unknown;
  try {
    parseUri(text);
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof Pkcs11Error && caught.code === "uri_invalid", text.slice(0, 80));
  return caught;
};

Deno.test("parses RFC 7512's examples of paths", () => {
  assert.deepEqual(parseUri("pkcs11:"), {});
  assert.deepEqual(
    parseUri("pkcs11:object=my-pubkey;type=public"),
    { object: "my-pubkey", type: "public" },
  );
  assert.deepEqual(
    parseUri(
      "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.",
    ),
    { token: "The Software PKCS#11 Softtoken", manufacturer: "Snake Oil, Inc." },
  );
  assert.deepEqual(parseUri("PKCS11:id=%69%95%3E%5C%F4%BD%EC%91;slot-id=327"), {
    id: "69953e5cf4bdec91",
    "slot-id": "327",
  });
  assert.deepEqual(parseUri("pkcs11:token="), { token: "" });
});

Deno.test("a formatted URI parses back to the same value", () => {
  const uri = {
    token: "টোকেন; a=b?%/#",
    serial: "00 1",
    "slot-id": "18446744073709551615",
    id: "00ff3b".repeat(52),
    type: "cert",
  } as const;
  assert.deepEqual(parseUri(formatUri(uri)), uri);
  assert.equal(formatUri({ token: "", id: "0aff" }), "pkcs11:id=%0a%ff");
});

Deno.test("refuses a PIN in a URI, and never repeats it", () => {
  const error = refused("pkcs11:token=a?pin-value=1234");
  assert.doesNotMatch(`${error.message} ${error.reason}`, /1234/);
  refused("pkcs11:?pin-source=file:/etc/pin");
  refused("pkcs11:token=a?module-path=/tmp/evil.so");
});

Deno.test("refuses anything that is not a PKCS#11 URI", () => {
  for (
    const text of [
      "",
      "http://x",
      "pkcs11",
      "pkcs11:token",
      "pkcs11:token=a;token=b",
      "pkcs11:colour=red",
      "pkcs11:__proto__=1",
      "pkcs11:token=%4",
      "pkcs11:token=%zz",
      "pkcs11:token=%ff",
      "pkcs11:token=a b",
      "pkcs11:type=banana",
      "pkcs11:slot-id=-1",
      "pkcs11:token=a;",
      "pkcs11:token=" + "a".repeat(5000),
    ]
  ) refused(text);
});

Deno.test("matches tokens and objects", () => {
  const token = { label: "", serial: "7", manufacturer: "M", model: "X", slotId: 3 } as TokenInfo;
  const is = (text: string) => matchesToken(parseUri(text), token);
  assert.ok(is("pkcs11:"));
  assert.ok(is("pkcs11:token=;serial=7;slot-id=3;object=anything"));
  assert.ok(!is("pkcs11:serial=8"));
  assert.ok(!is("pkcs11:token=7"));
  assert.ok(!is("pkcs11:library-version=1.0"), "unknown is not equal");
  const object = { id: "01ff", label: "key" };
  assert.ok(matchesObject(parseUri("pkcs11:id=%01%FF;object=key"), object, "cert"));
  assert.ok(!matchesObject(parseUri("pkcs11:id=%01"), object, "cert"));
  assert.ok(!matchesObject(parseUri("pkcs11:type=private"), object, "cert"));
});
