/** Mutated CMS signatures: verify them, add to them, and verify the result. */
import {
  addValidationData,
  prepareCosignature,
  prepareCountersignature,
} from "../../formats/cms/add.ts";
import { prepareArchiveTimestamp } from "../../formats/cms/archive.ts";
import { readSignedData } from "../../formats/cms/read.ts";
import { verifyCms } from "../../formats/cms/verify.ts";
import { digest } from "../../formats/digest.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import {
  archiveCms,
  cmsSigner,
  cosignCms,
  countersignCms,
  extendCms,
  signCms,
  timestampCms,
} from "../fixtures/signed_files.ts";
import { attempt } from "./attempt.ts";
import { Honest, now, pkiOf, trusting } from "./honest.ts";

export { words } from "./der.ts";

const pki = pkiOf({ name: "Asha" }, { name: "Bimal", key: "p-256" });
// Small seeds: what mutations fall on is the signature itself.
const [asha, bimal] = pki.officers.map((officer) => ({ ...officer, chain: [] }));
const content = new TextEncoder().encode('{"bill":7}');
const options = {
  ...trusting(pki),
  content: () => ({ digest: (hash: Parameters<typeof digest>[0]) => digest(hash, content) }),
};

const honest = new Honest(
  (bytes) => attempt(() => verifyBytes(bytes, options)),
  // of a detached one, given with it
  (bytes) =>
    readSignedData(bytes).content?.map((piece) => piece.toHex()).join("") ?? content.toHex(),
);

export function seeds(): Promise<Uint8Array[]> {
  const detached = signCms(asha, { digest: digest("SHA-256", content) });
  const attached = signCms(bimal, { content });
  const stamped = timestampCms(pki, attached, now);
  const all = [
    detached,
    attached,
    cosignCms(bimal, signCms(asha, { content })),
    countersignCms(asha, attached, 0),
    stamped,
    archiveCms(pki, extendCms(pki, stamped, now), now),
  ];
  honest.learn(all);
  return Promise.resolve(all);
}

/** @throws whatever no reader of a signature may throw */
export function exercise(bytes: Uint8Array): void {
  honest.check(bytes);
  const signer = cmsSigner(asha);
  const value = new Uint8Array(256);
  const changed = [
    attempt(() => prepareCosignature(bytes, signer).complete(value)),
    attempt(() => prepareCountersignature(bytes, [0], signer).complete(value)),
    attempt(() => addValidationData(bytes, { certificates: [asha.certificate.der] })),
  ];
  // Whatever was added to can be read again.
  for (const each of changed) {
    if (each) verifyCms(each, { detached: undefined });
  }
  attempt(() => prepareArchiveTimestamp(bytes, 0, "SHA-256", digest("SHA-256", content)));
}
