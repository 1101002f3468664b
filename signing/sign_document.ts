/** Signatures over a document that was sent before: detached, or within a PDF. */
import type { Level } from "../online/pades.ts";
import { DsignError } from "../protocol/errors.ts";
import { type ParsedParams, PdfOptions } from "../protocol/methods.ts";
import type { Document } from "./documents.ts";
import { signedWith } from "./key_access.ts";
import type { Lease } from "./logins.ts";
import { signCades } from "./make.ts";
import { sourceOf } from "./pades.ts";
import { type Also, notBoth } from "./post_quantum.ts";
import { type BatchSigning, readsContents, Revisions } from "./revision.ts";
import { additionsOf, shownPdf, showOnly } from "./shown_pdf.ts";
import { askingFor, networkFor, readFor, type SigningContext } from "./signing_context.ts";
import type { Caller } from "./unlock.ts";

/** Detached CAdES over a document of any kind. */
export async function signDocument(
  signing: SigningContext,
  document: Document,
  { level, also, ...params }: Pick<ParsedParams<"sign.document">, "certificate" | "level"> & {
    also?: Also<Uint8Array>;
  },
  caller: Caller,
) {
  const second = also && await signing.keys.second(also.certificate, caller);
  return await signing.keys.use(
    {
      ...params,
      ...second && { also: second, accepts: notBoth },
      hash: (certificate) => document.hashFor(certificate),
      format: `CAdES ${level}`,
      ...networkFor(signing, level),
      items: [document.item()],
      blind: false,
      show: showOnly(document.kept, readFor(signing, caller)),
    },
    caller,
    async (lease) => {
      const content = document.digest(lease.signer.algorithm.hash);
      const signature = await signCades(signing, lease, content, level, caller);
      return {
        signature: signature.toBase64(),
        digest: content.toBase64(),
        ...signedWith(lease.signer),
        ...also && { beside: await signBeside(signing, lease, also, signature, level, caller) },
      };
    },
  );
}

/** The second signature, over all of the signed file; Base64. */
async function signBeside<T>(
  signing: SigningContext,
  { also }: Lease,
  { digest }: Also<T>,
  made: T,
  level: Level,
  caller: Caller,
): Promise<string> {
  return (await signCades(signing, also!, await digest(made), level, caller)).toBase64();
}

/**
 * PAdES: a signature within a PDF.
 *
 * @param document is being kept
 */
export async function signPdf(
  signing: SigningContext,
  document: Document,
  options: PdfOptions,
  { also, ...params }: Pick<ParsedParams<"sign.document">, "certificate"> & {
    also?: Also<Uint8Array>;
  },
  caller: Caller,
) {
  const second = also && await signing.keys.second(also.certificate, caller);
  const revisions = await revisionsOf(signing, document, options, caller);
  const by = readFor(signing, caller, options.password);
  return await signing.keys.use(
    {
      ...params,
      ...second && { also: second, accepts: notBoth },
      hash: document.asked,
      format: nameOfPades(options),
      ...networkFor(signing, options.level),
      items: [{ ...document.item(), pdf: { adds: additionsOf(revisions.options) } }],
      blind: false,
      revisions,
      show: async (item, credential) => {
        if (item !== 0) throw new DsignError("document_not_found");
        return shownPdf(
          document.kept,
          by,
          credential && await revisions.prepare(credential),
        );
      },
    },
    caller,
    async (lease) => {
      const { credential, signer } = lease;
      caller.progress?.("signing");
      const signed = await revisions.sign(credential, signer);
      const { level } = options;
      return {
        ...signed,
        ...signedWith(signer),
        ...also && {
          beside: await signBeside(signing, lease, also, signed.appended, level, caller),
        },
      };
    },
  );
}

/**
 * What a PDF will be with a signature, for each certificate.
 *
 * @throws {FormatError} `pdf_ambiguous` where readers may draw a large one's contents differently
 */
export async function revisionsOf(
  { services, tokens }: SigningContext,
  document: Document,
  options: PdfOptions,
  caller: Caller,
  batch?: BatchSigning,
): Promise<Revisions> {
  const { placement, reader } = services;
  const source = sourceOf(document);
  const asking = askingFor(caller);
  const { password } = options;
  const [placed] = await Promise.all([
    placement.place(source, options, asking),
    readsContents(source) ||
    reader.ask("checkContents", { password }, { documents: [source], ...asking }),
  ]);
  return new Revisions(document, placed, services, asking, tokens.now, batch);
}

/** For the audit log. */
export const nameOfPades = ({ subFilter, level }: PdfOptions): string =>
  subFilter === "adbe.pkcs7.detached" ? subFilter : `PAdES ${level}`;
