/**
 * The revision of a PDF that a person is shown before they sign it. It is finished but for the signature's value: what
 * they approve is its digest, and after the PIN only that value goes in.
 */
import { Buffer } from "node:buffer";
import { concat } from "../formats/asn1/der.ts";
import { FormatError } from "../formats/error.ts";
import { fillContents } from "../formats/pades/contents.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { appendedSource, type Source } from "../formats/source.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { completeCms, holeIn, padesCms, preparedDigest } from "../online/pades_cms.ts";
import { performFor } from "../online/services.ts";
import type { PlacedBox } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import { askInSteps } from "../reader/steps.ts";
import type { PlacedOptions } from "./appearance.ts";
import { certificateOf, hashWith } from "./certificates.ts";
import { sign } from "./signature.ts";
import {
  padesOptions,
  type PadesServices,
  refusing,
  type SignedDocument,
  sourceOf,
} from "./pades.ts";
import { isOverText } from "./placement.ts";
import type { Asking } from "./reading.ts";
import type { Credential } from "./tokens.ts";

/** Milliseconds after which a revision is prepared and shown again, because it contains the time of preparing. */
const FRESH = 5 * 60_000;

/** Pages that are tried for a place. */
const MAX_PAGES = 50;

/** Documents of no more bytes have few contents. */
const SMALL = 256 * 1024;

/** A box over more of its page than this is told in red. */
const LARGE = 0.1;

/** The key and certificate that a revision depends on. */
type SignedWith = { id: string; key: Pick<Credential["key"], "certificate" | "chain"> };

/** A revision prepared with a certificate. */
export interface Revision {
  /** Digest (hex) of the bytes signed with this certificate, which the person approves. */
  digest: string;
  /** Name of the signed field. */
  field: string;
  /** Where the signature is seen. */
  boxes: PlacedBox[];
  /** The document with it. */
  source: Source;
}

interface Prepared extends Revision {
  time: Date;
  appended: Uint8Array;
  /** Of the signature's place within `appended`. */
  hole: [from: number, to: number];
}

/** A signed PDF, as far as it is new. */
export interface SignedPdf {
  appended: Uint8Array;
  field: string;
}

/**
 * A CMS that a reader has checked. Another one that differs from it only in the digest and in the signature's value, which
 * is checked by itself, needs no reader.
 */
class CheckedCms {
  #form: Uint8Array | undefined;

  /** @param check by a reader; throws if it does not accept the CMS */
  async accept(
    cms: Uint8Array,
    digest: Uint8Array,
    signature: Uint8Array,
    check: () => Promise<unknown>,
  ): Promise<void> {
    const form = Buffer.from(cms);
    // The runtime searches text ten times as fast as bytes.
    const text = latin1(cms);
    for (const part of [digest, signature]) {
      const at = text.indexOf(latin1(part));
      if (at >= 0) form.fill(0, at, at + part.length);
    }
    if (this.#form && sameBytes(form, this.#form)) return;
    await check();
    this.#form = form;
  }
}

const latin1 = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString("latin1");

/** What the documents of a batch have in common. */
export class BatchSigning {
  readonly checked = new CheckedCms();

  /** @param time of all revisions */
  constructor(readonly time: Date) {}
}

/**
 * Whether contents are read whenever a document is prepared. Where they take much longer than that, they are read once,
 * by another question.
 */
export const readsContents = ({ size }: Pick<Source, "size">): boolean => size <= SMALL;

/** The revisions of one document, one for each certificate. */
export class Revisions {
  readonly #prepared = new Map<string, Prepared>();
  readonly #approved = new Map<string, Prepared>();

  /**
   * @param options the place is found
   * @param batch that the document belongs to; without one, each revision has the time of its preparing
   */
  constructor(
    readonly document: SignedDocument,
    readonly options: PlacedOptions,
    readonly services: Pick<PadesServices, "appearances" | "online" | "reader" | "placement">,
    readonly asking: Asking & { signal: AbortSignal },
    readonly now: () => Date,
    readonly batch?: BatchSigning,
  ) {}

  /**
   * The revision for a certificate: the one that is there, or a new one where that is too old.
   *
   * @throws {DsignError} `invalid_params`; {FormatError} as `prepareSignature`, `refuseAmbiguous`
   */
  async prepare(credential: SignedWith): Promise<Revision> {
    const known = this.#prepared.get(credential.id);
    if (known && this.#isFresh(known)) return known;
    const prepared = await this.#prepare(credential);
    this.#prepared.set(credential.id, prepared);
    return prepared;
  }

  /** The digest of what has been prepared for a certificate, if anything has. */
  digestFor({ id }: SignedWith): string | undefined {
    return this.#prepared.get(id)?.digest;
  }

  /**
   * Takes the approval of the revision for a certificate. What is prepared for it later changes nothing in what is signed.
   *
   * @returns false if it is not for the latest one, or that is too old
   */
  approve({ id }: SignedWith, digest: string | undefined): boolean {
    const prepared = this.#prepared.get(id);
    if (!prepared || prepared.digest !== digest || !this.#isFresh(prepared)) return false;
    this.#approved.set(id, prepared);
    return true;
  }

  /**
   * Puts the signature's value into the approved revision for a certificate, and climbs to its level.
   *
   * @throws {DsignError} `signature_invalid`; {OnlineError} all its codes
   */
  async sign(
    credential: SignedWith,
    signer: Pick<Signer, "certificate" | "chain" | "algorithm" | "sign">,
  ): Promise<SignedPdf> {
    const { signal } = this.asking;
    const prepared = this.#approved.get(credential.id)!;
    const { online, reader } = this.services;
    const { hash: algorithm } = signer.algorithm;
    const { level, subFilter, password } = this.options;
    const { certificate } = signer;
    const made = padesCms(Uint8Array.fromHex(prepared.digest), signer, {
      subFilter,
      time: prepared.time,
    });
    const signature = await sign({ signer, credential }, { message: made.toBeSigned }, signal);
    const stamp = (hash: HashName, digest: Uint8Array) =>
      online.timestamp(hash, digest, this.asking);
    const cms = await completeCms(made, signature, algorithm, level === "B-B" ? null : stamp);
    // Put in here: the reader has read a stranger's document, and adds only what follows.
    const signed = fillContents(prepared.appended, ...prepared.hole, cms);
    if (level === "B-B") {
      // Where it stands was checked when the revision was prepared.
      const { digest } = prepared;
      const asked = { cms, hash: algorithm, digest: Uint8Array.fromHex(digest), certificate };
      const check = () => reader.ask("checkCms", asked, this.asking);
      if (this.batch) await this.batch.checked.accept(cms, asked.digest, signature, check);
      else await check();
      return { appended: signed, field: prepared.field };
    }
    const completion = { level, certificate, password };
    const rest = await askInSteps(
      (done) =>
        reader.ask("finishPdf", { signed, cms, algorithm, completion, done }, {
          documents: [sourceOf(this.document)],
          ...this.asking,
        }),
      (step) => performFor(online, step, this.asking),
    );
    return { appended: concat(signed, rest), field: prepared.field };
  }

  #isFresh({ time }: Prepared): boolean {
    return this.batch !== undefined || this.now().getTime() - time.getTime() <= FRESH;
  }

  async #prepare(credential: SignedWith): Promise<Prepared> {
    const { document, services: { placement } } = this;
    const time = this.batch?.time ?? this.now();
    const original = sourceOf(document);
    const { field, isNew, appended, ranges, places } = await refusing(
      this.#firstFree(credential, time, original),
    );
    const boxes: PlacedBox[] = [];
    for (const { page, box, share } of places) {
      const { password } = this.options;
      const written = await placement.written(original, page, password, this.asking);
      const overText = written && isOverText(box, written);
      if (overText && isNew) {
        throw new DsignError(
          "invalid_params",
          `The signature's place on page ${page} is over text. Choose a free place.`,
        );
      }
      boxes.push({ page, box, overText, large: share > LARGE });
    }
    const { size } = document;
    const hashed = document.hashed(hashWith(credential.key.certificate, document.asked));
    return {
      digest: preparedDigest(hashed, size, { appended, ranges }).toHex(),
      field,
      boxes,
      source: appendedSource(original, appended),
      time,
      appended,
      hole: holeIn({ appended, ranges }, size),
    };
  }

  /** Prepares it on the first page with room for it, from the one that was named. */
  async #firstFree(credential: SignedWith, time: Date, source: Source) {
    const { visible } = this.options;
    const isLookedFor = visible && !visible.rectangle && !visible.near;
    const first = visible?.page ?? 1;
    let full: FormatError | undefined;
    for (let page = first; page < first + MAX_PAGES; page++) {
      try {
        return await this.#preparedOn(page, credential, time, source);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        // Behind the last page, what counts is that the others are full.
        if (full && error.code === "not_found") break;
        if (!isLookedFor || error.code !== "no_room") throw error;
        full ??= error;
      }
    }
    throw full!;
  }

  /** Asked in the same way for showing and for signing. */
  async #preparedOn(
    page: number,
    { key: { certificate, chain } }: SignedWith,
    time: Date,
    source: Source,
  ) {
    const { appearances, placement, reader } = this.services;
    const { subject } = certificateOf(certificate);
    const name = subject.commonName ?? subject.toString();
    const signer = { name, time };
    const { appearance, fonts } = await appearances.make(this.options, signer, page);
    if (appearance && !("rectangle" in appearance.place)) {
      const { password } = this.options;
      appearance.place.avoid = await placement.written(source, page, password, this.asking) ?? [];
    }
    const input = {
      options: { ...padesOptions(this.options), time: time.toISOString(), signerName: name },
      appearance,
      signer: { certificate, chain: [...chain] },
      one: readsContents(source) ? "contents" as const : "pages" as const,
    };
    const documents = [source, ...fonts];
    return await reader.ask("preparePdf", input, { documents, ...this.asking });
  }
}
