import { constructedTag, Fields, only, readAsn1, Tag } from "../formats/asn1/read.ts";
import { concat } from "../formats/asn1/der.ts";

/**
 * Turns a detached signature into an attached one: returns the bytes that go before and after the content (RFC 5652
 * §5.1, §5.2). The signature stays valid because it covers eContent only through its digest.
 *
 * @param cms a detached SignedData in DER
 * @param length length of the content in bytes; the content need not fit into memory
 */
export function attachContent(cms: Uint8Array, length: number): [Uint8Array, Uint8Array] {
  const info = new Fields(readAsn1(cms), "ContentInfo");
  const type = info.take(Tag.OID).bytes;
  const [version, digests, encapsulated, ...after] =
    only(info.take(constructedTag(0)), "ContentInfo").children;
  const tail = concat(...after.map(({ bytes }) => bytes));

  let head: Uint8Array = new Uint8Array();
  const wrap = (tag: number, before: Uint8Array, behind = 0) => {
    const content = before.length + head.length + length + behind;
    head = concat(header(tag, content), before, head);
  };
  const none = new Uint8Array();
  wrap(Tag.OCTET_STRING, none);
  wrap(constructedTag(0), none);
  wrap(Tag.SEQUENCE, encapsulated.children[0].bytes);
  wrap(Tag.SEQUENCE, concat(version.bytes, digests.bytes), tail.length);
  wrap(constructedTag(0), none, tail.length);
  wrap(Tag.SEQUENCE, type, tail.length);
  return [head, tail];
}

/** Identifier and definite length in its shortest form (X.690 §10.1). */
function header(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.of(tag, 0x80 | bytes.length, ...bytes);
}
