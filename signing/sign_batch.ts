/** Many documents by one consent and one PIN (batch.ts). */
import { getLogger } from "@logtape/logtape";
import type { PlacedBox } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import { PdfOptions } from "../protocol/methods.ts";
import {
  Batch,
  batchItem,
  type BatchParams,
  type Bring,
  journalName,
  manifestHash,
} from "./batch.ts";
import type { Document } from "./documents.ts";
import { signedWith } from "./key_access.ts";
import { signCades } from "./make.ts";
import { BatchSigning } from "./revision.ts";
import { shownPdf } from "./shown_pdf.ts";
import { nameOfPades, revisionsOf } from "./sign_document.ts";
import { networkFor, readFor, type SigningContext } from "./signing_context.ts";
import type { Caller, Wanted } from "./unlock.ts";

const log = getLogger(["dsign", "agent"]);

/**
 * Asks for consent to a whole list, and opens the key for the documents that will come.
 *
 * @throws {DsignError} `busy` where the same batch is being signed already
 */
export async function startBatch(
  signing: SigningContext,
  params: BatchParams,
  caller: Caller,
  bring: Bring,
): Promise<Batch> {
  const { items, format, level, certificate } = params;
  const { journals } = signing.services;
  const options = PdfOptions.parse(params.pdf ?? {});
  const { origin } = caller.asker;
  const manifest = manifestHash(items);
  await journals.tidy(signing.tokens.now());
  const { credentials } = await signing.tokens.list();
  const counts = new Map(
    await Promise.all(credentials.map(async ({ id }) => {
      const signed = await journals.signed(journalName(origin, params, id, manifest));
      return [id, signed.length] as const;
    })),
  );
  // Rules, certificate and time are the same for what is shown and what is signed of an item.
  const common = new BatchSigning(signing.tokens.now());
  const by = readFor(signing, caller, options.password);
  const preparing = (document: Document) => revisionsOf(signing, document, options, caller, common);
  /** Digests of what was looked at, by item and certificate. */
  const looked = new Map<string, string>();
  const wanted: Wanted = {
    certificate,
    hash: undefined,
    format: format === "cades" ? `CAdES ${level}` : nameOfPades(options),
    ...networkFor(signing, format === "cades" ? level : options.level),
    items: items.map((item) => batchItem(item, format, options)),
    blind: false,
    async show(item, credential) {
      const document = await bring(item);
      if (format === "cades" || !credential) return shownPdf(document.kept, by);
      const revision = await (await preparing(document)).prepare(credential);
      looked.set(`${item} ${credential.id}`, revision.digest);
      return shownPdf(document.kept, by, revision);
    },
    batch: {
      manifest,
      signed: (id) => counts.get(id) ?? 0,
      signedNow: () => batch?.signed.length,
    },
  };
  let batch: Batch | undefined;
  const started = Promise.withResolvers<Batch>();
  const session = signing.keys.use(wanted, caller, async (lease) => {
    const journal = await journals.open(
      journalName(origin, params, lease.credential.id, manifest),
    );
    const { credential, signer } = lease;
    const make = (document: Document, item: number) =>
      document.held(async () => {
        if (format === "pades") {
          const revisions = await preparing(document);
          const { digest, boxes } = await revisions.prepare(credential);
          const shown = looked.get(`${item} ${credential.id}`);
          if (shown === undefined) refuseCovering(boxes);
          if (!revisions.approve(credential, shown ?? digest)) {
            throw new DsignError("consent_mismatch");
          }
          const { appended, field } = await revisions.sign(credential, signer);
          return { bytes: appended, field };
        }
        const content = document.digest(lease.signer.algorithm.hash);
        return { bytes: await signCades(signing, lease, content, level, caller), field: "" };
      });
    batch = new Batch(items, format, signedWith(lease.signer), journal, make);
    started.resolve(batch);
    await batch.over;
  });
  session.catch((error) => {
    log.warn("A batch ended with {error}.", { error });
    started.reject(error);
  });
  return await started.promise;
}

/**
 * What the person must see in red is not drawn in a document of a batch that they have not opened.
 *
 * @throws {DsignError} `consent_mismatch`
 */
function refuseCovering(boxes: readonly PlacedBox[]): void {
  const bad = boxes.find(({ overText, large }) => overText !== false || large);
  if (!bad) return;
  throw new DsignError(
    "consent_mismatch",
    `The signature would cover much of page ${bad.page}, or text on it. In a list, open this document before you sign, or sign it alone.`,
  );
}
