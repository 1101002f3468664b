/** Mutated CMS signatures: verify them, add to them, and verify the result. */
import {
  addValidationData,
  prepareCosignature,
  prepareCountersignature,
} from "../../formats/cms/add.ts";
import { prepareArchiveTimestamp } from "../../formats/cms/archive.ts";
import { verifyCms } from "../../formats/cms/verify.ts";
import { digest } from "../../formats/digest.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { readMaterial } from "../../formats/verify/material.ts";
import { makeCrl } from "../fixtures/issue.ts";
import { makePki } from "../fixtures/pki.ts";
import {
  archiveCms,
  authorities,
  cmsSigner,
  cosignCms,
  countersignCms,
  extendCms,
  signCms,
  timestampCms,
} from "../fixtures/signed_files.ts";
import { attempt } from "./attempt.ts";

export { words } from "./der.ts";

const now = new Date();
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }] });
// Small seeds: what mutations fall on is the signature itself.
const [asha, bimal] = pki.officers.map((officer) => ({ ...officer, chain: [] }));
const content = new TextEncoder().encode('{"bill":7}');
const options = {
  now,
  anchors: [pki.root.certificate],
  material: readMaterial({
    certificates: authorities(pki).map(({ certificate }) => certificate.der),
    crls: authorities(pki).map((each) => makeCrl(each, [])),
  }),
  content: () => ({ digest: (hash: Parameters<typeof digest>[0]) => digest(hash, content) }),
};

export function seeds(): Promise<Uint8Array[]> {
  const detached = signCms(asha, { digest: digest("SHA-256", content) });
  const attached = signCms(bimal, { content });
  const stamped = timestampCms(pki, attached, now);
  return Promise.resolve([
    detached,
    attached,
    cosignCms(bimal, signCms(asha, { content })),
    countersignCms(asha, attached, 0),
    stamped,
    archiveCms(pki, extendCms(pki, stamped, now), now),
  ]);
}

/** @throws whatever no reader of a signature may throw */
export function exercise(bytes: Uint8Array): void {
  attempt(() => verifyBytes(bytes, options));
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
