/**
 * Signing by an eSign service provider (ESP), for portals whose signatories have an eKYC instead of the department's PIN:
 * the PDF is prepared here, the person's browser carries the signed request to the ESP and brings the answer back, and the
 * PKCS #7 goes into the place that was kept for it. Such a signature is an ESP eSign, not the department's PIN/OTP one.
 */
import { createHash, randomBytes } from "node:crypto";
import { concat } from "../formats/der.ts";
import {
  type EsignAnswer,
  EsignAuth,
  esignForm,
  esignTransaction,
  prepareEsign,
  readEsignResponse,
} from "../formats/esign.ts";
import { FormatError } from "../formats/error.ts";
import { type PreparedSignature, prepareSignature, signedBytes } from "../formats/pades.ts";
import { bytesSource } from "../formats/pdf_source.ts";
import type { Signer } from "../formats/signer.ts";

export interface EspOptions {
  /** Where the browser POSTs the request; https, or http on this machine. */
  url: string;
  aspId: string;
  /** Where the ESP sends the browser back. */
  responseUrl: string;
  /** The ASP's key, whose certificate is registered with the ESP. */
  asp: Pick<Signer, "certificate" | "chain" | "algorithm" | "sign">;
  /** The ESP's certificates for its answers, DER. */
  certificates: readonly Uint8Array[];
  auth?: keyof typeof EsignAuth;
  now: () => number;
}

/** A PDF to be signed. */
export interface EspDocument {
  pdf: Uint8Array;
  /** What the person is told that it is. */
  info: string;
  reason?: string;
  location?: string;
}

/** What the portal's page does: a form that the browser POSTs. */
export interface EspForm {
  action: string;
  fields: Record<string, string>;
  txn: string;
}

export type EspResult =
  | { ok: true; txn: string; pdf: Uint8Array; signer: string; certificate: Uint8Array }
  | Extract<EsignAnswer, { ok: false }>;

interface Pending {
  pdf: Uint8Array;
  prepared: PreparedSignature;
  digest: Uint8Array;
  until: number;
}

/** How long the person may take at the ESP, in milliseconds: as long as the certificate will live. */
const LIFETIME = 30 * 60_000;
const MAX_PENDING = 1000;
/** An ESP's PKCS #7 may hold CRLs or OCSP answers of its own. */
const CONTENTS = 64 * 1024;
/** Clocks differ, in milliseconds. */
const TOLERANCE = 5 * 60_000;
const DOCUMENT = "1";

/** One ESP. What waits is in memory: after a restart the person begins again. */
export class Esp {
  readonly #pending = new Map<string, Pending>();

  /** @throws {FormatError} `invalid_argument` for an address without TLS */
  constructor(readonly options: EspOptions) {
    const { protocol, hostname } = new URL(options.url);
    const here = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
    if (protocol !== "https:" && !(protocol === "http:" && here)) {
      throw new FormatError("invalid_argument", "The eSign service's address has to be https.");
    }
  }

  /**
   * Prepares a signature and the request for it.
   *
   * @throws {FormatError} as `prepareSignature`; `limit_exceeded` where too many wait
   */
  async start({ pdf, info, reason, location }: EspDocument): Promise<EspForm> {
    const { asp, aspId, responseUrl, url, auth = "otp", now } = this.options;
    this.#forget();
    if (this.#pending.size >= MAX_PENDING) {
      throw new FormatError("limit_exceeded", "Too many signatures wait for the eSign service.");
    }
    const source = bytesSource(pdf);
    const time = new Date(now());
    const prepared = prepareSignature(source, {
      subFilter: "adbe.pkcs7.detached", // what the ESP makes is no CAdES
      contentsSize: CONTENTS,
      time,
      reason,
      location,
    });
    const hash = createHash("sha256");
    for (const piece of signedBytes(source, prepared)) hash.update(piece);
    const digest = new Uint8Array(hash.digest());
    const txn = `${aspId.replace(/[^A-Za-z0-9]/g, "").slice(0, 12)}-${
      randomBytes(16).toString("hex")
    }`;
    const documents = [{ id: DOCUMENT, digest, info }];
    const request = prepareEsign(
      { txn, aspId, auth: EsignAuth[auth], responseUrl, time, documents },
      asp,
    );
    const signed = request.complete(await asp.sign({ message: request.toBeSigned }));
    this.#pending.set(txn, { pdf, prepared, digest, until: now() + LIFETIME });
    return { action: url, fields: esignForm(signed, txn), txn };
  }

  /**
   * Takes the answer that the browser brought. It counts once: whatever it says, the same cannot come again.
   *
   * @param form fields of the POST; ESPs name the answer `eSignResponse` or `msg`
   * @throws {FormatError} `not_found` for a transaction that is unknown or over; as `readEsignResponse`
   */
  finish(form: Readonly<Record<string, string>>): EspResult {
    const text = form.eSignResponse ?? form.msg;
    if (text === undefined) {
      throw new FormatError("not_found", "The browser brought no answer of the eSign service.");
    }
    const response = new TextEncoder().encode(text);
    this.#forget();
    const txn = esignTransaction(response);
    const pending = this.#pending.get(txn);
    if (!pending) {
      throw new FormatError("not_found", "This eSign transaction is over. Begin again.");
    }
    const { pdf, prepared, digest } = pending;
    // A forged answer must not end the true one's transaction, so it is checked before it counts.
    const answer = readEsignResponse(response, {
      txn,
      documents: [{ id: DOCUMENT, digest }],
      esp: this.options.certificates,
    });
    if (!answer.ok) {
      if (answer.isFinal) this.#pending.delete(txn);
      return answer;
    }
    this.#pending.delete(txn);
    const { certificate, signatures } = answer;
    const now = this.options.now();
    const { notBefore, notAfter } = certificate;
    if (notBefore.getTime() > now + TOLERANCE || notAfter.getTime() < now - TOLERANCE) {
      throw new FormatError("signature_mismatch", "The eSign certificate is not of this time.");
    }
    return {
      ok: true,
      txn,
      pdf: concat(pdf, prepared.complete(signatures.get(DOCUMENT)!)),
      signer: certificate.subject.commonName ?? certificate.subject.toString(),
      certificate: certificate.der,
    };
  }

  #forget(): void {
    const now = this.options.now();
    for (const [txn, { until }] of this.#pending) if (until <= now) this.#pending.delete(txn);
  }
}
