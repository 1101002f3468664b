/** Timestamp and validation data, so that an eSign outlives its certificate of half an hour. */
import { getLogger } from "@logtape/logtape";
import { FormatError } from "../formats/error.ts";
import { fillContents } from "../formats/pades/contents.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { OnlineError } from "../online/error.ts";
import { bytesSource } from "../formats/source.ts";
import { performFor } from "../online/services.ts";
import { askInSteps } from "../reader/steps.ts";
import { CscError, toCscError } from "./error.ts";
import { isCurrent } from "./esp_answer.ts";
import { type LevelOptions, levelServices } from "./levels.ts";
import type { EsignFacts, EsignRow } from "./rows.ts";
import type { Store } from "./store.ts";

const log = getLogger(["dsign", "otp-service"]);

/** Where both are had. */
export interface Lasting extends LevelOptions {
  store: Store;
}

/** Bytes that the prepared PDF keeps for a CMS. */
export const spaceIn = ({ contents: [at, end] }: EsignFacts) => (end - at) / 2 - 1;

/**
 * Has the signature timestamped.
 *
 * The authorized signature is in the store by now, so a timestamp authority that fails costs no more than its timestamp.
 * Each fetching of the document tries again while the certificate lives.
 */
export async function addTimestamp(
  lasting: Lasting,
  row: EsignRow,
): Promise<EsignRow> {
  const { store } = lasting;
  const { id, client, facts } = row;
  if (!lasting.tsa || facts.timestamped || !lives(row, store.now())) return row;
  const { pdf, cms } = (await store.read((tx) => tx.esignBytes(id)))!;
  const about = { transaction: id, client };
  try {
    const asking = { signal: new AbortController().signal, origin: client };
    const stamped = await askInSteps(
      (done) => lasting.reader.ask("timestampedCms", { cms: cms!, done }, asking),
      (step) => performFor(levelServices(lasting), step, asking),
    );
    if (stamped.length > spaceIn(facts)) {
      throw new CscError("timestamp_failed", "it is too large");
    }
    await lasting.reader.ask(
      "checkPdfSignature",
      { algorithm: "SHA-256", certificate: certificateOf(facts) },
      { documents: [signedPdf(pdf, facts, stamped)], origin: client },
    );
    return await store.run(async (tx) => {
      const now = (await tx.esign(id))!;
      if (now.facts.timestamped) return now;
      const signed = { ...now, facts: { ...now.facts, timestamped: true as const } };
      await tx.saveEsign(signed, { cms: stamped });
      tx.audit({ event: "esign.timestamped", ...about });
      return signed;
    });
  } catch (error) {
    const reason = reasonOf(error);
    await store.run((tx) => {
      tx.audit({ event: "esign.timestamp_failed", ...about, reason });
    });
    return row;
  }
}

/** Adds what a later validation needs, where it can be had; as {@linkcode addTimestamp}. */
export async function addValidationData(
  { reader, store, validationData }: Lasting,
  row: EsignRow,
): Promise<void> {
  const { id, client, facts } = row;
  if (!facts.timestamped || facts.longTerm || !lives(row, store.now())) return;
  const { pdf, cms } = (await store.read((tx) => tx.esignBytes(id)))!;
  try {
    const data = await validationData(cms!, { origin: client });
    const asking = { documents: [signedPdf(pdf, facts, cms!)], origin: client };
    const dss = await reader.ask("dss", { data }, asking);
    await store.run(async (tx) => {
      const row = await tx.esign(id);
      if (!row || row.facts.longTerm) return;
      await tx.saveEsign({ ...row, facts: { ...row.facts, longTerm: true } }, { dss });
      tx.audit({ event: "esign.extended", transaction: id, client });
    });
  } catch (error) {
    const reason = reasonOf(error);
    log.warn("eSign {id} goes out without validation data: {reason}", { id, reason });
  }
}

/** Why the document goes out without; anything unforeseen is thrown on. */
function reasonOf(error: unknown): string {
  if (error instanceof FormatError) return error.message;
  if (!(error instanceof CscError || error instanceof OnlineError)) throw error;
  const { reason, message } = toCscError(error);
  return reason ?? message;
}

const signedPdf = (pdf: Uint8Array, { contents }: EsignFacts, cms: Uint8Array) =>
  bytesSource(fillContents(pdf, ...contents, cms));

const certificateOf = ({ certificate }: EsignFacts) => Uint8Array.fromBase64(certificate!);

/** Whether it is signed and the certificate is still valid. */
function lives({ phase, facts }: EsignRow, now: number): boolean {
  if (phase !== "signed") return false;
  return isCurrent(readCertificate(certificateOf(facts)), now);
}
