/**
 * The sample portal's Technical Sanctions: each a PDF, which the engineer's PIN and OTP and an officer's token sign one
 * after the other, each time as a new revision. This is what a department's portal has to do for itself: prepare the
 * signature, have the digest authorized and signed by the service, and keep what comes back only after checking it.
 */
import { createHash, randomBytes } from "node:crypto";
import { placeInLog, type ReceiptReport } from "../cli/verify_receipt.ts";
import { Online } from "../online/services.ts";
import { concat } from "../formats/asn1/der.ts";
import { type PreparedSignature, prepareSignature, signedBytes } from "../formats/pades/prepare.ts";
import { drawAppearance } from "../formats/pades/appearance.ts";
import { appendDss } from "../formats/pades/dss.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import type { TrueTypeFont } from "../formats/pdf/font.ts";
import { bytesSource } from "../formats/source.ts";
import { type VerificationReport, verifyBytes } from "../formats/verify/verify.ts";
import { type Certificate, readCertificate, sameBytes } from "../formats/x509/certificate.ts";
import { answerOf, clientToken, type DemoOtp, ENGINEER, post } from "./demo_otp.ts";
import { sanctionPdf } from "./demo_pdf.ts";

const SHA256 = "2.16.840.1.101.3.4.2.1";
/** For the CMS with its certificates and a timestamp with those of its authority. */
const CONTENTS = 24 * 1024;
const MAX_SANCTIONS = 1000;
/** Of ceremonies under way, in milliseconds; the service's own limit. */
const LIFETIME = 10 * 60_000;

/** The engineer's draft. */
export interface Draft {
  project: string;
  scheme: string;
  /** Rupees and paise: `12,50,000.00`. */
  amount: string;
}

export interface Sanction extends Draft {
  id: string;
  number: string;
  date: Date;
  pdf: Uint8Array;
  /** Of its departmental or eSign signature: that it stands in the service's log. */
  receipt?: string;
}

/** An error that the person can act on. */
export class SanctionError extends Error {
  override readonly name = "SanctionError";
}

/** What a service's answer says of its receipt. */
interface Receipted {
  receipt?: string;
  receiptPromise?: { path: string; due: string };
}

/** A signature that waits for the person. */
interface Waiting {
  sanction: Sanction;
  /** The revision that is signed. */
  base: Uint8Array;
  until: number;
}

/** For PIN and OTP. */
interface PendingOtp extends Waiting {
  prepared: PreparedSignature;
  digest: string;
  verifier: string;
}

/** For the eSign service provider. */
interface PendingEsign extends Waiting {
  transaction: string;
}

type Pending = PendingOtp | PendingEsign;

export interface SanctionOptions {
  /** The portal's own address. */
  url: string;
  otp: DemoOtp;
  online: Online;
  fonts: readonly TrueTypeFont[];
  /** Roots that a verification trusts besides the department's: those of the officers' tokens and of eSign. */
  roots: readonly Certificate[];
  /** Whether the service has an eSign service provider. */
  hasEsign: boolean;
}

export class Sanctions {
  readonly #sanctions = new Map<string, Sanction>();
  readonly #pending = new Map<string, Pending>();

  constructor(readonly options: SanctionOptions) {}

  get redirectUri(): string {
    return `${this.options.url}/signed`;
  }

  /** @throws {SanctionError} */
  draft({ project, scheme, amount }: Draft): Sanction {
    const { url, fonts } = this.options;
    if (this.#sanctions.size >= MAX_SANCTIONS) throw new SanctionError("There are too many.");
    const id = randomBytes(12).toString("base64url");
    const date = new Date();
    const number = `TS/${financialYear(date)}/${String(this.#sanctions.size + 1).padStart(4, "0")}`;
    const facts = { number, project, scheme, amount, date };
    const pdf = sanctionPdf({ ...facts, verifyUrl: `${url}/verify/${id}` }, fonts);
    const sanction = { id, ...facts, pdf };
    this.#sanctions.set(id, sanction);
    return sanction;
  }

  /** @throws {SanctionError} */
  find(id: string): Sanction {
    const found = this.#sanctions.get(id);
    if (!found) throw new SanctionError("There is no such sanction.");
    return found;
  }

  /**
   * Prepares the engineer's signature and opens the ceremony at the service.
   *
   * @returns where the browser goes, and the state with which it comes back
   */
  async startOtp(id: string): Promise<{ location: string; state: string }> {
    const { otp, fonts } = this.options;
    const sanction = this.find(id);
    const { number, pdf: base } = sanction;
    const time = new Date();
    const source = bytesSource(base);
    const prepared = prepareSignature(source, {
      time,
      signerName: ENGINEER.name,
      reason: `Technical Sanction ${number}`,
      contentsSize: CONTENTS,
      appearance: {
        place: { page: 1, rectangle: [56, 200, 286, 256] },
        draw: drawAppearance({
          lines: [
            `Digitally signed by ${ENGINEER.name}`,
            ENGINEER.role,
            "Departmental PIN/OTP signature",
            `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`,
          ],
          fonts,
        }),
      },
    });
    const hash = createHash("sha256");
    for (const piece of signedBytes(source, prepared)) hash.update(piece);
    const digest = hash.digest("base64");
    const token = await clientToken(otp.url, otp.client);
    await this.#show(concat(base, prepared.appended), `${number.replaceAll("/", "-")}.pdf`, token);
    const { credentialIDs } = await post(`${otp.url}/csc/v2/credentials/list`, {
      userID: ENGINEER.userID,
    }, token) as { credentialIDs: string[] };
    const [state, verifier] = [0, 0].map(() => randomBytes(32).toString("base64url"));
    const label = `Technical Sanction ${number}`;
    const { request_uri } = await answerOf(
      await fetch(`${otp.url}/oauth2/pushed_authorize`, {
        method: "POST",
        body: new URLSearchParams({
          client_id: otp.client.id,
          client_secret: otp.client.secret,
          response_type: "code",
          scope: "credential",
          redirect_uri: this.redirectUri,
          state,
          code_challenge: createHash("sha256").update(verifier).digest("base64url"),
          code_challenge_method: "S256",
          description: `${label}: ₹ ${sanction.amount} for ${sanction.project}`.slice(0, 200),
          authorization_details: JSON.stringify([{
            type: "credential",
            credentialID: credentialIDs[0],
            documentDigests: [{ hash: digest, label }],
            hashAlgorithmOID: SHA256,
          }]),
        }),
      }),
    );
    this.#forget();
    this.#pending.set(state, {
      sanction,
      base,
      prepared,
      digest,
      verifier,
      until: Date.now() + LIFETIME,
    });
    const query = new URLSearchParams({
      client_id: otp.client.id,
      request_uri: String(request_uri),
    });
    return { location: `${otp.url}/oauth2/authorize?${query}`, state };
  }

  /**
   * Has the service prepare the engineer's signature by eSign.
   *
   * @returns as {@linkcode startOtp}
   */
  async startEsign(id: string): Promise<{ location: string; state: string }> {
    const { otp } = this.options;
    const sanction = this.find(id);
    const { number, pdf: base } = sanction;
    const state = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      name: `${number.replaceAll("/", "-")}.pdf`,
      purpose: `Technical Sanction ${number}`,
      reason: `Technical Sanction ${number}`,
      redirect_uri: this.redirectUri,
      state,
    });
    const { transaction, location } = await answerOf(
      await fetch(`${otp.url}/portal/v1/esign?${query}`, {
        method: "POST",
        headers: { authorization: `Bearer ${await clientToken(otp.url, otp.client)}` },
        body: new Uint8Array(base),
      }),
    );
    this.#forget();
    const until = Date.now() + LIFETIME;
    this.#pending.set(state, { sanction, base, until, transaction: String(transaction) });
    return { location: String(location), state };
  }

  /**
   * Fetches what became of it, with what a later validation needs.
   *
   * @throws {SanctionError} if nobody signed, or somebody else
   */
  async finishEsign({ transaction, sanction, base }: PendingEsign): Promise<void> {
    const { otp } = this.options;
    const url = `${otp.url}/portal/v1/esign/${transaction}`;
    const headers = { authorization: `Bearer ${await clientToken(otp.url, otp.client)}` };
    const { signer, receipt, error } = await answerOf(await fetch(url, { headers })) as {
      signer?: string;
      receipt?: string;
      error?: { message: string };
    };
    if (error) throw new SanctionError(error.message);
    // The provider signs for anyone who identifies themselves there.
    if (signer !== ENGINEER.name) throw new SanctionError(`${signer} is not the engineer.`);
    const response = await fetch(`${url}/document`, { headers });
    this.#keep(sanction, base, await response.bytes());
    sanction.receipt = receipt;
  }

  /** The service shows the person what will be signed, from exactly the bytes. */
  async #show(prepared: Uint8Array, name: string, token: string): Promise<void> {
    await answerOf(
      await fetch(`${this.options.otp.url}/portal/v1/documents?${new URLSearchParams({ name })}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/pdf" },
        body: new Uint8Array(prepared),
      }),
    );
  }

  /** The sanction that a state stands for; each works once. */
  take(state: string): Pending | null {
    this.#forget();
    const found = this.#pending.get(state) ?? null;
    this.#pending.delete(state);
    return found;
  }

  #forget(): void {
    const now = Date.now();
    for (const [state, { until }] of this.#pending) if (until < now) this.#pending.delete(state);
  }

  /**
   * Has the authorized signature made, checks it, and adds what a later validation needs: PAdES B-LT.
   *
   * @throws {Error}
   */
  async finishOtp(pending: PendingOtp, code: string): Promise<void> {
    const { otp } = this.options;
    const { prepared, base, digest, verifier, sanction } = pending;
    const { access_token, credentialID } = await answerOf(
      await fetch(`${otp.url}/oauth2/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "authorization_code",
          client_id: otp.client.id,
          client_secret: otp.client.secret,
          redirect_uri: this.redirectUri,
          code_verifier: verifier,
          code,
        }),
      }),
    );
    const answer = await post(`${otp.url}/csc/v2/signatures/signDoc`, {
      credentialID,
      documentDigests: [{
        hashes: [digest],
        hashAlgorithmOID: SHA256,
        signature_format: "P",
        conformance_level: "AdES-B-T",
      }],
    }, String(access_token));
    const cms = Uint8Array.fromBase64((answer.SignatureObject as string[])[0]);
    const signed = concat(base, prepared.complete(cms));
    const source = bytesSource(signed);
    const { contents } = inspectSignatures(source).signatures.at(-1)!;
    const data = await this.options.online.validationData(cms, {
      signal: AbortSignal.timeout(30_000),
    });
    const dss = appendDss(source, { signatures: [{ contents, ...data }] });
    this.#keep(sanction, base, concat(signed, dss));
    sanction.receipt = await this.#receipt(answer);
  }

  /** A busy service promises the receipt, and has it a little later. */
  async #receipt({ receipt, receiptPromise }: Receipted): Promise<string | undefined> {
    if (receipt !== undefined || !receiptPromise) return receipt;
    const { otp } = this.options;
    const headers = { authorization: `Bearer ${await clientToken(otp.url, otp.client)}` };
    for (const until = Date.parse(receiptPromise.due); Date.now() < until;) {
      const response = await fetch(otp.url + receiptPromise.path, { headers });
      const text = await response.text();
      if (response.ok) return text;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return undefined;
  }

  /**
   * Takes a document that an officer's token has signed.
   *
   * @throws {SanctionError} if it is not the sanction with one more good signature at its end
   */
  addToken(id: string, signed: Uint8Array): void {
    const sanction = this.find(id);
    this.#keep(sanction, sanction.pdf, signed);
  }

  /** Accepts a signed file if it is the sanction with exactly one more valid signature. */
  #keep(sanction: Sanction, base: Uint8Array, signed: Uint8Array): void {
    if (sanction.pdf !== base) {
      throw new SanctionError("The sanction was signed by somebody else meanwhile. Sign it again.");
    }
    if (signed.length <= base.length || !sameBytes(signed.subarray(0, base.length), base)) {
      throw new SanctionError("This is not the sanction that was to be signed.");
    }
    const before = inspectSignatures(bytesSource(base)).signatures.length;
    // As the public page judges it: everyone with an order has its address too, and must not be able to spoil it.
    const { signatures } = this.verify({ pdf: signed });
    const isGood = signatures.length === before + 1 &&
      signatures.every(({ indication }) => indication === "TOTAL-PASSED");
    if (!isGood) throw new SanctionError("The signature is not good. Nothing was changed.");
    sanction.pdf = signed;
  }

  /** Where the signatures that its receipt names stand in the service's log. */
  placeInLog({ receipt }: Sanction, { signatures }: VerificationReport): ReceiptReport | null {
    return receipt === undefined ? null : placeInLog(receipt, this.options.otp.logKey, signatures);
  }

  /** Verifies as anyone would who trusts the department's and the officers' root. */
  verify({ pdf }: Pick<Sanction, "pdf">): VerificationReport {
    const { otp, roots } = this.options;
    return verifyBytes(pdf, {
      now: new Date(),
      anchors: [readCertificate(otp.authority), ...roots],
      departmentalPolicies: [otp.policy],
    });
  }
}

/** India's: from April to March, as `2026-27`. */
function financialYear(date: Date): string {
  const year = date.getFullYear() - (date.getMonth() < 3 ? 1 : 0);
  return `${year}-${String(year + 1).slice(-2)}`;
}
