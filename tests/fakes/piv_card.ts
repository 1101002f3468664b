/**
 * A PIV card (NIST SP 800-73-4) with one P-256 key, in a reader that vpcd pretends to have. It is in the reader for as
 * long as this program runs:
 *
 *     deno run -A piv_card.ts KEY.der CERTIFICATE.der LOG READER [INSTRUCTION]
 *
 * LOG gets a line for every PIN that the card is given, `right` or `wrong`. READER is 0 or 1. At this INSTRUCTION (hex,
 * with data) the card is pulled out, instead of an answer.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { tlv } from "../../formats/asn1/der.ts";
import { softwareKey } from "../../signers/software_key.ts";

const [keyFile, certificateFile, log, readerNumber, leaveAt] = Deno.args;
const PIN = "12345678";
/** Says only that the card speaks T=1 (ISO/IEC 7816-3 §8). */
const ATR = Buffer.from("3b800181", "hex");
const AID = Buffer.from("a000000308", "hex");
/** vpcd's readers have ports that follow each other. */
const VPCD = { hostname: "127.0.0.1", port: 35963 + Number(readerNumber) };

const key = await softwareKey(Deno.readFileSync(keyFile));
const certificate = Deno.readFileSync(certificateFile);
/** Each card has a GUID of its certificate. */
const guid = createHash("sha256").update(certificate).digest().subarray(0, 16);
/** The FASC-N of cards that no agency of the United States has issued, for which the GUID counts. */
const NO_AGENCY = Buffer.from("d4e739da739ced39ce739da1685a1082108ce73984108ca3fc", "hex");
const objects = new Map([
  // Card holder unique identifier: FASC-N, GUID, expiry, signature, checksum (SP 800-73-4 Part 1, Table 9)
  ["5fc102", [
    tlv(0x30, NO_AGENCY),
    tlv(0x34, guid),
    tlv(0x35, new TextEncoder().encode("20301231")),
    ...[tlv(0x3e), tlv(0xfe)],
  ]],
  // X.509 certificate for PIV authentication: certificate, CertInfo, checksum
  ["5fc105", [
    tlv(0x70, certificate),
    ...[tlv(0x71, Uint8Array.of(0)), tlv(0xfe)],
  ]],
]);

let triesLeft = 3;
let verified = false;
let rest = Buffer.alloc(0);

const sw = (code: number) => Buffer.from([code >> 8, code & 0xff]);

/** At most 256 bytes at once; the others wait for GET RESPONSE. */
function give(data: Uint8Array): Buffer {
  rest = Buffer.from(data.subarray(256));
  const more = rest.length === 0 ? 0x9000 : 0x6100 | (rest.length > 255 ? 0 : rest.length);
  return Buffer.concat([data.subarray(0, 256), sw(more)]);
}

function answer(apdu: Buffer): Buffer {
  const [, instruction, p1, p2] = apdu;
  const data = apdu.length > 5 ? apdu.subarray(5, 5 + apdu[4]) : Buffer.alloc(0);
  if (data.length > 0 && instruction === parseInt(leaveAt, 16)) Deno.exit(0);
  switch (instruction) {
    case 0xa4: // SELECT
      if (p1 !== 4 || !data.subarray(0, AID.length).equals(AID)) return sw(0x6a82);
      verified = false;
      return give(
        tlv(0x61, tlv(0x4f, Uint8Array.of(0, 0, 0x10, 0, 1, 0)), tlv(0x79, tlv(0x4f, AID))),
      );
    case 0xc0: // GET RESPONSE
      return give(rest);
    case 0xcb: { // GET DATA
      const object = objects.get(data.subarray(2).toString("hex"));
      return object ? give(tlv(0x53, ...object)) : sw(0x6a82);
    }
    case 0x20: { // VERIFY
      if (p2 !== 0x80) return sw(0x6a88);
      if (data.length === 0) return sw(verified ? 0x9000 : 0x63c0 | triesLeft);
      if (triesLeft === 0) return sw(0x6983);
      verified = data.toString("latin1").replaceAll("\xff", "") === PIN;
      Deno.writeTextFileSync(log, verified ? "right\n" : "wrong\n", { append: true });
      triesLeft = verified ? 3 : triesLeft - 1;
      return sw(verified ? 0x9000 : 0x63c0 | triesLeft);
    }
    case 0x87: { // GENERAL AUTHENTICATE: 7C { 82 00, 81 digest }
      if (!verified) return sw(0x6982);
      const at = data.indexOf(Buffer.from([0x81, 0x20]));
      if (p1 !== 0x11 || at < 0) return sw(0x6a80);
      const digest = data.subarray(at + 2, at + 34);
      const signature = key.sign({ scheme: "ECDSA", hash: "SHA-256" }, { digest });
      return give(tlv(0x7c, tlv(0x82, signature)));
    }
    default:
      return sw(0x6d00);
  }
}

const reader = await Deno.connect(VPCD);
let got = Buffer.alloc(0);
for await (const chunk of reader.readable) {
  got = Buffer.concat([got, chunk]);
  while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
    const message = got.subarray(2, 2 + got.readUInt16BE(0));
    got = got.subarray(2 + message.length);
    // One byte is for the reader: power off, power on, reset, or the question for the ATR.
    if (message.length === 1 && message[0] !== 4) continue;
    const reply = message.length === 1 ? ATR : answer(message);
    const frame = Buffer.alloc(2 + reply.length);
    frame.writeUInt16BE(reply.length);
    reply.copy(frame, 2);
    const writer = reader.writable.getWriter();
    await writer.write(frame);
    writer.releaseLock();
  }
}
