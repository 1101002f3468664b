import assert from "node:assert/strict";
import { concat, integer, octetString, oid, sequence, time, tlv } from "../asn1/der.ts";
import { EntryIndex } from "./crl_entries.ts";
import { FormatError } from "../error.ts";

const date = time(new Date("2026-11-30T00:00:00Z"));
const serial = (bytes: readonly number[]) => tlv(2, Uint8Array.from(bytes));
const reason = (value: number) =>
  sequence(sequence(oid("2.5.29.21"), octetString(tlv(10, Uint8Array.of(value)))));
/** Stands for an extension that names another issuer. */
const by = (name: number) => sequence(sequence(oid("2.5.29.29"), octetString(integer(name))));

Deno.test("each entry is found by its issuer and number, the last one of two, however it is encoded", () => {
  let seed = 1;
  const random = (below: number) => {
    seed = Math.imul(seed, 48271) % 0x7fffffff;
    return Math.abs(seed) % below;
  };
  const entries: Uint8Array[] = [];
  const expected = new Map<string, number>();
  const numbers: number[][] = [];
  let issuer = "list", at = 0;
  for (let i = 0; i < 3000; i++) {
    const again = random(4) === 0 && numbers.length > 0;
    const length = random(20) === 0 ? 200 : 1 + random(20);
    const number = again
      ? numbers[random(numbers.length)]
      : Array.from({ length }, () => random(256));
    numbers.push(number);
    const kind = random(8);
    if (kind === 0) issuer = `issuer ${i % 3}`;
    const more = kind === 0 ? [by(i % 3)] : kind < 4 ? [reason(kind)] : [];
    const entry = sequence(serial(number), date, ...more);
    entries.push(entry);
    expected.set(`${issuer} ${number}`, at);
    at += entry.length;
  }
  const index = new EntryIndex(
    concat(...entries),
    "list",
    ({ bytes }) => `issuer ${bytes.at(-1)}`,
  );
  for (const number of numbers) {
    for (const name of ["list", "issuer 0", "issuer 1", "issuer 2", "another"]) {
      const found = index.find(name, Uint8Array.from(number));
      assert.equal(found, expected.get(`${name} ${number}`));
    }
  }
});

Deno.test("a list without entries has none, and one that ends within an entry is refused", () => {
  assert.equal(
    new EntryIndex(new Uint8Array(), "list", () => "").find("list", Uint8Array.of(1)),
    undefined,
  );
  const whole = concat(sequence(serial([1]), date), sequence(serial([2]), date, reason(1)));
  for (let length = 1; length < whole.length; length++) {
    const cut = () => new EntryIndex(whole.subarray(0, length), "list", () => undefined);
    if (length === sequence(serial([1]), date).length) cut();
    else assert.throws(cut, FormatError);
  }
});
