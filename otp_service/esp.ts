/**
 * Signing by an eSign service provider (ESP), for portals whose signatories have an eKYC instead of the department's PIN:
 * the PDF is prepared here, the person's browser carries the signed request to the ESP and brings the answer back, and the
 * PKCS #7 goes into the place that was kept for it. Such a signature is an ESP eSign, not the department's PIN/OTP one.
 *
 * Everything that waits stands in the store: any instance may take the answer, and after a restart nothing is lost.
 */
import { randomBytes } from "node:crypto";
import { concat } from "../formats/asn1/der.ts";
import { FormatError } from "../formats/error.ts";
import { hasher } from "../formats/digest.ts";
import { EsignAuth, esignForm, prepareEsign } from "../formats/xml/esign_request.ts";
import { fillContents } from "../formats/pades/contents.ts";
import { bytesSource } from "../formats/source.ts";
import type { Signer } from "../formats/signer.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { preparedDigest } from "../online/pades_cms.ts";
import { entryOf } from "./audit.ts";
import { CscError } from "./error.ts";
import {
  EspRefusal,
  type EspRefusalCode,
  isCurrent,
  type Outcome,
  transactionIn,
} from "./esp_answer.ts";
import { addTimestamp, addValidationData, type Lasting, spaceIn } from "./esp_lasting.ts";
import { sha256 } from "./secrets.ts";
import type { EsignOutcome } from "./questions.ts";
import type { EsignFacts, EsignRow } from "./rows.ts";
import type { Tx } from "./store.ts";

export interface EspOptions extends Lasting {
  /** Address to which the browser POSTs the request. */
  url: string;
  /** The name under which the ESP knows this portal, an application service provider (ASP). */
  aspId: string;
  /** Address to which the ESP sends the browser back. */
  responseUrl: string;
  /** The ASP's key, whose certificate is registered with the ESP. */
  asp: Pick<Signer, "certificate" | "chain" | "algorithm" | "sign">;
  /** The ESP's certificates for its answers. */
  certificates: readonly Certificate[];
  /** Whom the signatories' certificates must come from. */
  anchors: readonly Certificate[];
  /** From which web origins browsers may bring answers. */
  origins: readonly string[];
  auth: keyof typeof EsignAuth;
}

/** A PDF to be signed, and the portal's part of it. */
export interface EspDocument
  extends Pick<EsignFacts, "name" | "purpose" | "language" | "redirect" | "state"> {
  client: string;
  pdf: Uint8Array;
  /** These two stand in the signature. */
  reason?: string;
  location?: string;
}

/** How long the person may take at the ESP, in milliseconds: as long as the certificate will live. */
const LIFETIME = 30 * 60_000;
/** Of one portal: how many wait at a time, and how many bytes are kept for it. */
const MAX_WAITING = 1000;
const MAX_STORED = 2 * 1024 ** 3;
/** An ESP's PKCS #7 may hold CRLs or OCSP answers of its own. */
const CONTENTS = 64 * 1024;
/** Refused answers of one transaction that the audit names: strangers must not fill it. */
const MAX_REFUSED = 20;

/** One ESP. */
export class Esp {
  constructor(readonly options: EspOptions) {}

  /**
   * Prepares a signature and the request for it.
   *
   * @returns `ticket`: with it the person's browser gets the page
   * @throws {CscError} `document_malformed`, `too_many`, `unavailable`
   */
  async start(document: EspDocument): Promise<{ id: string; ticket: string; expires: number }> {
    const { store, asp, aspId, responseUrl, auth } = this.options;
    const { client, pdf, name, purpose, language, redirect, state } = document;
    const now = store.now();
    if (!isCurrent(readCertificate(asp.certificate), now)) {
      throw new CscError("unavailable", "the ASP's certificate for eSign is not valid now");
    }
    const { prepared, digest, contents } = await this.#prepare(document, new Date(now));
    const id = `${aspId.replace(/[^A-Za-z0-9]/g, "").slice(0, 12)}-${
      randomBytes(16).toString("hex")
    }`;
    const request = prepareEsign({
      txn: id,
      aspId,
      auth: EsignAuth[auth],
      responseUrl,
      time: new Date(now),
      digest,
      info: purpose,
    }, asp);
    const signed = request.complete(await asp.sign({ message: request.toBeSigned }));
    const facts: EsignFacts = {
      ...{ name, purpose, language, redirect, state, contents },
      request: new TextDecoder().decode(signed),
      digest: digest.toHex(),
    };
    const expires = now + LIFETIME;
    return await store.run(async (tx) => {
      const stored = await tx.storedEsigns(client);
      if (stored.waiting >= MAX_WAITING || stored.bytes + pdf.length > MAX_STORED) {
        throw new CscError("documents_too_many");
      }
      tx.addEsign({ id, client, phase: "waiting", facts, expires }, concat(pdf, prepared));
      tx.audit({
        event: "esign.started",
        transaction: id,
        client,
        purpose,
        document: name,
        hash: facts.digest,
        request: sha256(signed),
      });
      const ticket = await tx.issue({ kind: "esign", transaction: id }, LIFETIME);
      return { id, ticket, expires };
    });
  }

  /** Data that the page shows and POSTs; null if there is nothing (left) to sign. */
  async page(
    ticket: string,
  ): Promise<{ row: EsignRow; action: string; fields: Record<string, string> } | null> {
    const { store, url } = this.options;
    const row = await store.read((tx) => this.#waiting(tx, ticket));
    return row && { row, action: url, fields: esignForm(row.facts.request, row.id) };
  }

  /** The PDF as it will be signed, for the person to read. */
  async preview(ticket: string): Promise<Uint8Array | null> {
    return await this.options.store.read(async (tx) => {
      const row = await this.#waiting(tx, ticket);
      return row && (await tx.esignBytes(row.id))!.pdf;
    });
  }

  /**
   * The person does not want it.
   *
   * @returns the transaction as it is now; null as {@linkcode page}
   */
  async reject(ticket: string): Promise<EsignRow | null> {
    return await this.options.store.run(async (tx) => {
      const row = await this.#waiting(tx, ticket);
      const outcome = { code: "rejected", message: "You did not sign. Nothing was signed." };
      return row && await end(tx, row.id, outcome);
    });
  }

  async #waiting(tx: Tx, ticket: string): Promise<EsignRow | null> {
    const found = await tx.read("esign", ticket);
    const row = found && await tx.esign(found.data.transaction);
    return row?.phase === "waiting" && row.expires > tx.now ? row : null;
  }

  /**
   * Takes the answer that the browser brought. It counts once: what it says, signed or not, ends the transaction. The same
   * again changes nothing, but finds its way back to the portal, as a browser may repeat a POST.
   *
   * @param form fields of the POST; ESPs name the answer `eSignResponse` or `msg`
   * @param origin of the page that sent the browser, if it said so
   * @returns the transaction as it is now
   * @throws {EspRefusal}
   */
  async finish(form: Readonly<Record<string, string>>, origin: string | null): Promise<EsignRow> {
    const { store, certificates, origins } = this.options;
    const text = form.eSignResponse ?? form.msg;
    if (text === undefined) throw new EspRefusal("malformed", "no field eSignResponse or msg");
    const response = new TextEncoder().encode(text);
    const hash = sha256(response);
    const { reader } = this.options;
    const id = transactionIn(text);
    const row = await store.read((tx) => tx.esign(id));
    // Not in the audit, which strangers could fill with it.
    if (!row) throw new EspRefusal("unknown", `answer ${hash}`);
    const refuse = async (code: EspRefusalCode, reason: string): Promise<never> => {
      await this.#note(id, code, reason, hash);
      throw new EspRefusal(code, reason, row.facts.language);
    };
    if (origin !== null && !origins.includes(origin)) {
      return await refuse("origin", `brought by ${origin.slice(0, 200)}`);
    }
    const repeated = async (row: EsignRow) => {
      if (row.facts.answer !== hash) return await refuse("over", `the transaction is ${row.phase}`);
      await this.#note(id, "repeated", "the same answer once more", hash);
      return row;
    };
    if (row.phase !== "waiting") return await repeated(row);
    if (row.expires <= store.now()) return await refuse("over", "too late");

    let outcome: EsignOutcome;
    try {
      outcome = await reader.ask("esignOutcome", {
        response,
        txn: id,
        digest: Uint8Array.fromHex(row.facts.digest),
        esp: certificates.filter((each) => isCurrent(each, store.now())).map(({ der }) => der),
        anchors: this.options.anchors.map(({ der }) => der),
        space: spaceIn(row.facts),
        now: store.now(),
      }, { origin: row.client });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      // A forged answer must not end the true one's transaction.
      return await refuse("not_accepted", error.message);
    }
    if (!outcome) return row;
    const over = "code" in outcome
      ? outcome
      : { ...outcome, certificate: readCertificate(outcome.certificate) };
    const { value: ended, lines } = await store.runWithLines((tx) => end(tx, id, over, response));
    if (ended.facts.answer !== hash) return await repeated(ended);
    const noted = lines.length > 0 && ended.phase === "signed"
      ? await this.#noteEntry(id, entryOf(lines.at(-1)!).toHex())
      : ended;
    await addTimestamp(this.options, noted);
    return noted;
  }

  /** @throws {CscError} `document_malformed` */
  async #prepare({ client, pdf, reason, location }: EspDocument, time: Date) {
    try {
      const { appended, ranges } = await this.options.reader.ask(
        "prepareEsign",
        { contentsSize: CONTENTS, time: time.toISOString(), reason, location },
        { documents: [bytesSource(pdf)], origin: client },
      );
      const digest = preparedDigest(hasher("SHA-256").update(pdf), pdf.length, {
        appended,
        ranges,
      });
      const [[, at], [end]] = ranges;
      return { prepared: appended, digest, contents: [at, end] as const };
    } catch (error) {
      if (error instanceof FormatError) throw new CscError("document_malformed", error.message);
      throw error;
    }
  }

  #noteEntry(id: string, entry: string): Promise<EsignRow> {
    return this.options.store.run(async (tx) => {
      const row = (await tx.esign(id))!;
      const noted = { ...row, facts: { ...row.facts, entry } };
      await tx.saveEsign(noted);
      return noted;
    });
  }

  /** The receipt of the line that says that it was signed. */
  async #receipt({ id, facts }: EsignRow): Promise<string | null> {
    const { log } = this.options.store;
    await log.sealAll();
    let { entry } = facts;
    if (entry === undefined) {
      const line = await log.lineOf("esign.signed", id);
      if (line === null) return null;
      entry = entryOf(line).toHex();
      await this.#noteEntry(id, entry);
    }
    return (await log.find(entry))?.receipt ?? null;
  }

  async #note(id: string, code: EspRefusalCode | "repeated", reason: string, answer: string) {
    await this.options.store.run(async (tx) => {
      const row = await tx.esign(id);
      const refused = (row?.facts.refused ?? 0) + 1;
      if (!row || refused > MAX_REFUSED) return;
      await tx.saveEsign({ ...row, facts: { ...row.facts, refused } });
      const { client } = row;
      tx.audit({ event: "esign.refused", transaction: id, client, code, reason, answer });
    });
  }

  /**
   * A portal's own transaction; of one that is over, the ESP's answer, which is evidence; of a signed one, its receipt.
   *
   * @throws {CscError} `esign_unknown`
   */
  async status(
    client: string,
    id: string,
  ): Promise<{ row: EsignRow; answer: Uint8Array | null; receipt: string | null }> {
    const row = await this.#own(client, id);
    const bytes = await this.options.store.read((tx) => tx.esignBytes(id));
    const receipt = row.phase === "signed" ? await this.#receipt(row) : null;
    return { row, answer: bytes?.answer ?? null, receipt };
  }

  /**
   * The signed PDF, for the portal whose it is, with timestamp and validation data if they can be had.
   *
   * @throws {CscError} `esign_unknown`, `esign_unsigned`
   */
  async signed(client: string, id: string): Promise<Uint8Array> {
    const { store } = this.options;
    const row = await this.#own(client, id);
    await addValidationData(this.options, await addTimestamp(this.options, row));
    const bytes = await store.read((tx) => tx.esignBytes(id));
    if (!bytes) throw new CscError("esign_unknown");
    const { pdf, cms, dss } = bytes;
    if (!cms) throw new CscError("esign_unsigned");
    if (!row.facts.fetched) {
      await store.run(async (tx) => {
        const row = await tx.esign(id);
        if (!row || row.facts.fetched) return;
        await tx.saveEsign({ ...row, facts: { ...row.facts, fetched: true } });
        tx.audit({ event: "esign.fetched", transaction: id, client });
      });
    }
    return concat(fillContents(pdf, ...row.facts.contents, cms), dss ?? new Uint8Array());
  }

  /** Another portal's transaction is as unknown as none, but that it was asked for is kept. */
  async #own(client: string, id: string): Promise<EsignRow> {
    const { store } = this.options;
    const row = await store.read((tx) => tx.esign(id));
    if (row?.client === client) return row;
    if (row) {
      await store.run((tx) => {
        tx.audit({ event: "esign.refused", transaction: id, client, code: "foreign" });
      });
    }
    throw new CscError("esign_unknown");
  }
}

/** Ends a transaction that waits, and leaves one alone that another answer has ended meanwhile. */
async function end(
  tx: Tx,
  id: string,
  outcome: Outcome,
  response?: Uint8Array,
): Promise<EsignRow> {
  const row = (await tx.esign(id))!;
  if (row.phase !== "waiting") return row;
  const answer = response && sha256(response);
  const about = { transaction: id, client: row.client, answer };
  if ("code" in outcome) {
    const { code, message } = outcome;
    const facts = { ...row.facts, answer, error: { code, message } };
    const failed = { ...row, phase: "failed" as const, facts };
    await tx.endEsign(failed, { answer: response ?? null });
    tx.audit({ event: "esign.failed", ...about, code, reason: message });
    return failed;
  }
  const { certificate, cms, signature } = outcome;
  const signer = certificate.subject.commonName ?? certificate.subject.toString();
  const facts = { ...row.facts, answer, signer, certificate: certificate.der.toBase64() };
  const signed = { ...row, phase: "signed" as const, facts };
  await tx.endEsign(signed, { answer: response ?? null, cms });
  tx.audit({
    event: "esign.signed",
    ...about,
    kind: "ESP eSign",
    hash: facts.digest,
    signer,
    issuer: certificate.issuer.toString(),
    serial: certificate.serialNumber.toHex(),
    certificate: sha256(certificate.der),
    signatures: [signature],
  });
  return signed;
}
