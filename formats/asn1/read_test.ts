import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Asn1Node,
  Fields,
  readAsn1,
  readBigInteger,
  readFirstAsn1,
  readInteger,
  readOctetString,
  readOid,
  readText,
  readTime,
  Tag,
} from "./read.ts";
import * as der from "./der.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

function refused(code: FormatErrorCode, body: () => unknown) {
  assert.throws(body, (error) => error instanceof FormatError && error.code === code);
}

/** Reads the whole tree. */
function walk(node: Asn1Node): number {
  return 1 + (node.constructed ? node.children.reduce((sum, child) => sum + walk(child), 0) : 0);
}

Deno.test("DER: known encodings (X.690)", () => {
  const cases: [Uint8Array, string][] = [
    [der.integer(0), "020100"],
    [der.integer(127), "02017f"],
    [der.integer(128), "02020080"],
    [der.integer(-128), "020180"],
    [der.integer(-129), "0202ff7f"],
    [der.integer(1n << 64n), "0209010000000000000000"],
    [der.unsignedInteger(hex("0000ff")), "020200ff"],
    [der.unsignedInteger(hex("")), "020100"],
    [der.oid("1.2.840.113549"), "06062a864886f70d"],
    [der.oid("2.999.3"), "0603883703"],
    [der.boolean(true), "0101ff"],
    [der.nullValue(), "0500"],
    [der.bitString(hex("80"), 7), "03020780"],
    [der.octetString(new Uint8Array(128)), "048180" + "00".repeat(128)],
    [der.octetString(new Uint8Array(65536)), "0483010000" + "00".repeat(65536)],
    [der.time(new Date("2049-12-31T23:59:59Z")), "170d" + "3439313233313233353935395a"],
    [der.time(new Date("2050-01-01T00:00:00Z")), "180f" + "32303530303130313030303030305a"],
    [der.directoryString("Officer 1"), "1309" + "4f6666696365722031"],
    [der.directoryString("নাম"), "0c09" + "e0a6a8e0a6bee0a6ae"],
    [der.setOf([hex("020102"), hex("0101ff"), hex("020101")]), "3109 0101ff 020101 020102"],
    [der.explicit(0, der.integer(1)), "a003020101"],
    [der.implicit(1, hex("05")), "810105"],
  ];
  for (const [bytes, expected] of cases) {
    assert.equal(bytes.toHex(), expected.replaceAll(" ", ""));
    walk(readAsn1(bytes));
  }
});

Deno.test("what the DER writer writes, the reader reads back", () => {
  fc.assert(fc.property(fc.bigInt({ min: -(1n << 600n), max: 1n << 600n }), (value) => {
    assert.equal(readBigInteger(readAsn1(der.integer(value))), value);
  }));
  fc.assert(fc.property(fc.integer(), (value) => {
    assert.equal(readInteger(readAsn1(der.integer(value))), value);
  }));
  const arc = fc.bigInt({ min: 0n, max: 1n << 128n }); // as in 2.25.UUID
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1, 2),
      fc.nat(39),
      fc.array(arc, { maxLength: 5 }),
      (a, b, rest) => {
        const dotted = [a, b, ...rest].join(".");
        assert.equal(readOid(readAsn1(der.oid(dotted))), dotted);
      },
    ),
  );
  fc.assert(fc.property(fc.bigInt({ min: 40n, max: 1n << 70n }), (second) => {
    assert.equal(readOid(readAsn1(der.oid(`2.${second}`))), `2.${second}`);
  }));
  const seconds = fc.integer({ min: -62135596800, max: 253402300799 });
  fc.assert(fc.property(seconds, (second) => {
    const date = new Date(second * 1000);
    assert.deepEqual(readTime(readAsn1(der.time(date))), date);
  }));
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    assert.equal(readText(readAsn1(der.directoryString(text))), text);
  }));
});

Deno.test("DER refuses every other form; BER accepts them", () => {
  for (const text of ["3080 020101 0000", "3081 03 020101", "2404 0402 0102", "0483 000001 00"]) {
    const bytes = hex(text);
    if (!text.startsWith("24")) refused("asn1_malformed", () => readAsn1(bytes));
    walk(readAsn1(bytes, { ber: true }));
  }
});

Deno.test("DER and BER refuse malformed data", () => {
  const cases = [
    "",
    "30",
    "3001",
    "0201",
    "020201",
    "3003020201",
    "0000",
    "30800201",
    "3080020101",
    "0480",
    "02010100",
    "1f",
    "1f81",
    "1f8181818101",
    "308000",
    "30800001000000",
    "0489ffffffffffffffffff",
    "0488ffffffffffffffff",
    "04ff",
  ];
  for (const text of cases) {
    for (const ber of [false, true]) {
      refused("asn1_malformed", () => walk(readAsn1(hex(text), { ber })));
    }
  }
});

Deno.test("constructed octet strings are joined, at any depth", () => {
  const node = readAsn1(hex("2480 0401 61 2480 0402 6263 0400 0000 0401 64 0000"), { ber: true });
  assert.equal(new TextDecoder().decode(readOctetString(node)), "abcd");
  assert.equal(node.indefinite, true);
  refused("asn1_malformed", () => readOctetString(readAsn1(hex("2403 020101"), { ber: true })));
});

Deno.test("reads only the first value on request", () => {
  assert.equal(readFirstAsn1(hex("020101 0000")).end, 3);
  refused("asn1_malformed", () => readAsn1(hex("020101 0000")));
});

Deno.test("fields are read in order", () => {
  const fields = new Fields(readAsn1(hex("3006 020101 810105")), "a test");
  assert.equal(fields.maybe(Tag.OID), undefined);
  assert.equal(readInteger(fields.take(Tag.INTEGER)), 1);
  refused("asn1_malformed", () => fields.end());
  assert.equal(fields.maybe(0x80, 0x81)?.content[0], 5);
  fields.end();
  refused("asn1_malformed", () => fields.take());
});

Deno.test("missing values are refused", () => {
  const time = (text: string, tag: number = Tag.UTC_TIME) =>
    readTime(readAsn1(der.tlv(tag, new TextEncoder().encode(text))));
  for (
    const text of [
      "260230000000Z",
      "2601010000Z",
      "260101000000",
      "260101240000Z",
      "261301000000Z",
      "2601010000006Z",
    ]
  ) {
    refused("asn1_malformed", () => time(text));
  }
  assert.equal(time("20260101000000.25Z", Tag.GENERALIZED_TIME).getUTCMilliseconds(), 250);
  assert.equal(time("500101000000Z").getUTCFullYear(), 1950);
  // Not DER, but written: fractions of any length, and local time.
  const general = (text: string) => time(text, Tag.GENERALIZED_TIME).toISOString();
  assert.equal(general("20260101000000.123456789012Z"), "2026-01-01T00:00:00.123Z");
  assert.equal(general("20260101043000+0530"), "2025-12-31T23:00:00.000Z");
  assert.equal(general("20251231233000.5-0100"), "2026-01-01T00:30:00.500Z");
  refused("asn1_malformed", () => general("20260101043000+1500"));
  for (const oid of ["0600", "060180", "060181", "06028001"]) {
    refused("asn1_malformed", () => readOid(readAsn1(hex(oid))));
  }
  for (const oid of ["", "1", "3.1", "1.40", "1.2.x", "1.02"]) {
    refused("invalid_argument", () => der.oid(oid));
  }
});

Deno.test("deep nesting and too many values are refused quickly", () => {
  let nested: Uint8Array = der.nullValue();
  for (let i = 0; i < 100; i++) nested = der.sequence(nested);
  refused("limit_exceeded", () => walk(readAsn1(nested)));
  refused("limit_exceeded", () => readAsn1(hex("3080".repeat(200_000)), { ber: true }));
  const many = der.sequence(...Array.from({ length: 1000 }, () => der.nullValue()));
  refused("limit_exceeded", () => readAsn1(many, { maxValues: 1000 }).children);
  assert.equal([...readAsn1(many).each()].length, 1000);
});

Deno.test("garbage yields a typed error or a tree, nothing else", () => {
  const starts = fc.constantFrom("", "3080", "2480", "a080", "3082ffff", "30803080");
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 200 }), fc.boolean(), (start, rest, ber) => {
      try {
        walk(readAsn1(der.concat(hex(start), rest), { ber }));
      } catch (error) {
        assert.ok(error instanceof FormatError);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("what is not bytes is malformed", () => {
  for (const given of [3, {}, { length: 5 }, [], "key", null, undefined]) {
    assert.throws(() => readAsn1(given as never), { code: "asn1_malformed" });
  }
});
