/** The console's requests about the root certificates by which signatures are verified. */
import * as z from "zod";
import { FormatError } from "../formats/error.ts";
import { readCertificates } from "../formats/x509/bundle.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { isOfCca, knownRoot } from "../formats/x509/india.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Root } from "../protocol/console.ts";
import { addRoot, listRoots, notARoot, removeRoot } from "../settings/roots.ts";
import { json, read } from "./first_start.ts";

/** Of a file of roots, in Base64. */
const MAX_FILE = 256 * 1024;
const MAX_ROOTS = 50;

const fingerprint = z.string().regex(/^[0-9a-f]{64}$/);
const ReadRequest = z.strictObject({ file: z.base64() });
const AddRequest = z.strictObject({ file: z.base64(), shown: z.array(fingerprint).min(1) });
const RemoveRequest = z.strictObject({ sha256: fingerprint });

export class Roots {
  /** @param folders the person's first */
  constructor(readonly folders: readonly string[]) {}

  /** @throws {DsignError} `invalid_params`, `too_large`, `certificate_malformed`, `storage_failed` */
  async respond(request: Request, path: string): Promise<Response> {
    switch (path) {
      case "/console/roots":
        return json(await this.#list());
      case "/console/roots/read": {
        const { file } = await read(request, ReadRequest, MAX_FILE);
        return json(await Promise.all(certificatesIn(file).map((each) => toRoot(each))));
      }
      case "/console/roots/add": {
        const { file, shown } = await read(request, AddRequest, MAX_FILE);
        const [own] = this.folders;
        const certificates = certificatesIn(file);
        const refused = (await Promise.all(certificates.map(notARoot))).some((why) => why);
        const isAsShown =
          certificates.map(({ fingerprint }) => fingerprint).join() === shown.join();
        if (refused || !isAsShown || own === undefined) throw new DsignError("invalid_params");
        for (const each of certificates) await addRoot(own, each);
        return json({});
      }
      case "/console/roots/remove": {
        const { sha256 } = await read(request, RemoveRequest);
        for (const root of await listRoots(this.folders.slice(0, 1))) {
          if (root.certificate.fingerprint === sha256) await removeRoot(root);
        }
        return json({});
      }
    }
    return json({}, 404);
  }

  async #list(): Promise<Root[]> {
    const [own, ...others] = this.folders;
    const of = async (folders: string[], isAdministrators: boolean) =>
      await Promise.all(
        (await listRoots(folders)).map(({ certificate }) => toRoot(certificate, isAdministrators)),
      );
    return own === undefined ? [] : [...await of([own], false), ...await of(others, true)];
  }
}

function certificatesIn(file: string): Certificate[] {
  try {
    const found = readCertificates(Uint8Array.fromBase64(file)).slice(0, MAX_ROOTS + 1);
    if (found.length > MAX_ROOTS) throw new DsignError("too_large");
    return found.map((der) => readCertificate(der));
  } catch (error) {
    if (error instanceof FormatError) throw new DsignError("certificate_malformed", error.message);
    throw error;
  }
}

async function toRoot(certificate: Certificate, isAdministrators = false): Promise<Root> {
  const { subject, issuer, notBefore, notAfter, fingerprint } = certificate;
  return {
    subject: subject.toString(),
    issuer: issuer.toString(),
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    sha256: fingerprint,
    known: knownRoot(certificate) ?? null,
    isOfCca: isOfCca(subject.commonName ?? ""),
    isAdministrators,
    refused: await notARoot(certificate) ?? null,
  };
}
