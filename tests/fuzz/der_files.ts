/** Certificates and what belongs to them, to be mutated. */
import { makeCrl } from "../fixtures/issue.ts";
import { authorities } from "../fixtures/signed_files.ts";
import { now, pkiOf } from "./honest.ts";

export { now };
export const pki = pkiOf({ name: "Rsa" }, { name: "Ec", key: "p-256" });
export const { certificate } = pki.officers[0];
export const { serialNumber } = certificate;
export const lists = authorities(pki).map((each) =>
  makeCrl(each, [{ serialNumber, revokedAt: now, reason: "keyCompromise" }], { now })
);
/** How a certificate is judged by further evidence. */
export const judged = {
  anchors: [pki.root.certificate],
  intermediates: [pki.subCa.certificate, pki.ca.certificate],
  at: now,
  revocation: "require",
} as const;

/** Tags and lengths that matter, object identifiers, times. */
export const words = [
  ...["\x30", "\x31", "\x02\x01", "\x05\x00", "\x04", "\x03\x02\x00", "\x01\x01\x7f", "\x0a\x01"],
  ...["\x30\x7f", "\x30\x00", "\x02\x7f", "\x06\x03U\x1d\x0f", "\x06\x03U\x1d\x13"],
  ...["\x06\x09", "\x17\x0d491231235959Z", "\x18\x0f99991231235959Z", "\x0c\x00", "\x24"],
  ...["\x06\x03U\x1d\x1c", "\x06\x03U\x1d\x1b", "\x06\x03U\x1d\x14", "\x06\x03U\x1d\x1e"],
  ...["\x06\x03U\x1d\x24", "\x06\x03U\x1d\x20", "\x06\x03U\x1d\x11", "\xa0\x03\x0a\x01\x00"],
];
