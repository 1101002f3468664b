/** Mutated timestamps and answers of their authorities (RFC 3161). */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import {
  readTimestampResponse,
  type TimestampInfo,
  verifyTimestamp,
} from "../../formats/cms/timestamp.ts";
import { encodeTimestampRequest } from "../../formats/cms/timestamp_request.ts";
import { digest } from "../../formats/digest.ts";
import { timestamp } from "../fixtures/signed_files.ts";
import { answerTimestampRequest } from "../fixtures/tsa.ts";
import { attempt } from "./attempt.ts";
import { now, pki } from "./der_files.ts";

export { words } from "./der_files.ts";

const imprint = new TextEncoder().encode("order");
const request = encodeTimestampRequest({
  hash: "SHA-256",
  digest: digest("SHA-256", imprint),
  nonce: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
});
const answer = answerTimestampRequest(pki.timestampAuthority, request, {
  now,
  chain: [pki.subCa.certificate.der],
});
const tokens = [timestamp(pki, imprint, now), readTimestampResponse(answer)];
const check = (token: Uint8Array) =>
  verifyTimestamp(token, { digestOf: (hash) => digest(hash, imprint) });
/** What an authority says; its serial number and the request's nonce are others in each run. */
const told = ({ serialNumber: _, nonce: __, ...info }: TimestampInfo) => info;
const honest = tokens.map((token) => told(check(token).info));

export const seeds = (): Promise<Uint8Array[]> => Promise.resolve([...tokens, answer]);

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  const token = attempt(() => readTimestampResponse(bytes)) ?? bytes;
  const read = attempt(() => check(token));
  if (!read || read.problems.length > 0) return;
  assert.ok(
    honest.some((each) => isDeepStrictEqual(each, told(read.info))),
    "changed, and accepted",
  );
}
