import { createHash } from "node:crypto";
import { FormatError } from "../error.ts";
import { appendTo, entry, type Located, locatedCatalog } from "../pdf/edit.ts";
import type { PdfDocument } from "../pdf/document.ts";
import type { Source } from "../source.ts";
import { PdfUpdate, withDocument } from "../pdf/update.ts";
import { latin1, name, type PdfDraft, PdfRef, PdfStream, PdfString, toHex } from "../pdf/value.ts";

/** Everything DER: X.509 certificates, CRLs, and OCSP responses (RFC 6960 OCSPResponse). */
export interface ValidationData {
  certificates?: readonly Uint8Array[];
  crls?: readonly Uint8Array[];
  ocsps?: readonly Uint8Array[];
}

/** Data for one signature. */
export interface SignatureValidationData extends ValidationData {
  /** The value of the signature's Contents, its padding included. */
  contents: Uint8Array;
  /** When the data were collected. */
  time?: Date;
}

/** Data for the document as a whole, and for single signatures. */
export interface DssOptions extends ValidationData {
  signatures?: readonly SignatureValidationData[];
  password?: string;
}

/** Names of the arrays in the DSS and in an entry of its VRI (EN 319 142-1 §5.4.2). */
const KINDS = [
  { given: "certificates", dss: "Certs", vri: "Cert" },
  { given: "crls", dss: "CRLs", vri: "CRL" },
  { given: "ocsps", dss: "OCSPs", vri: "OCSP" },
] as const;

/**
 * Adds validation data as a new revision: the step from PAdES B-T to B-LT. Data that the
 * document has already are referred to and not added again.
 *
 * @returns the bytes to append; empty when the document has everything
 * @throws FormatError as `prepareSignature`
 */
export function appendDss(source: Source, options: DssOptions): Uint8Array {
  return withDocument(source, options.password, (document) => {
    const update = new PdfUpdate(document);
    const catalog = locatedCatalog(document);
    const dss = entry(document, catalog, "DSS");
    const store = new Store(update, dss);
    for (const data of [options, ...(options.signatures ?? [])]) {
      for (const { given, dss } of KINDS) data[given]?.forEach((der) => store.ref(dss, der));
    }
    const vri = newVri(document, store, options.signatures ?? [], dss);
    const known = dss && entry(document, dss, "VRI");
    if (store.size === 0 && Object.keys(vri).length === 0) return new Uint8Array();
    if (!dss) {
      const draft: { [key: string]: PdfDraft } = { Type: name("DSS") };
      for (const { dss } of KINDS) if (store.added[dss]) draft[dss] = store.added[dss];
      if (Object.keys(vri).length > 0) draft.VRI = vri;
      update.edit(catalog.object).set(catalog.dict, "DSS", update.add(draft));
      return update.finish().bytes;
    }
    for (const { dss: key } of KINDS) {
      if (store.added[key]) appendTo(update, dss, key, store.added[key]);
    }
    if (known) {
      for (const [key, draft] of Object.entries(vri)) {
        update.edit(known.object).set(known.dict, key, draft);
      }
    } else if (Object.keys(vri).length > 0) update.edit(dss.object).set(dss.dict, "VRI", vri);
    return update.finish().bytes;
  });
}

/** VRI entries of the signatures that have none yet. */
function newVri(
  document: PdfDocument,
  store: Store,
  signatures: readonly SignatureValidationData[],
  dss: Located | undefined,
): { [key: string]: PdfDraft } {
  const known = dss && entry(document, dss, "VRI");
  const out: { [key: string]: PdfDraft } = {};
  for (const data of signatures) {
    const key = toHex(createHash("sha1").update(data.contents).digest()).toUpperCase();
    if (known?.dict.get(key) !== undefined) continue;
    const draft: { [key: string]: PdfDraft } = {};
    for (const { given, dss, vri } of KINDS) {
      const refs = data[given]?.map((der) => store.ref(dss, der));
      if (refs && refs.length > 0) draft[vri] = refs;
    }
    if (data.time) {
      const digits = data.time.toISOString().slice(0, 19).replace(/[-:T]/g, "");
      draft.TU = new PdfString(latin1(`D:${digits}Z`));
    }
    out[key] = draft;
  }
  return out;
}

type DssKey = typeof KINDS[number]["dss"];

/** The streams of the DSS, each value once. */
class Store {
  readonly added: Partial<Record<DssKey, PdfRef[]>> = {};
  /** How many streams were added. */
  size = 0;
  readonly #refs = new Map<string, PdfRef>();

  constructor(readonly update: PdfUpdate, dss: Located | undefined) {
    const { document } = update;
    for (const { dss: key } of KINDS) {
      const present = dss && document.array(dss.dict, key);
      for (const item of present?.items ?? []) {
        if (!(item instanceof PdfRef)) continue;
        const object = document.object(item);
        if (!(object?.value instanceof PdfStream)) {
          throw new FormatError("pdf_malformed", "The PDF's validation data is damaged.");
        }
        this.#refs.set(identify(key, document.streamData(object)), item);
      }
    }
  }

  ref(key: DssKey, der: Uint8Array): PdfRef {
    const identity = identify(key, der);
    let ref = this.#refs.get(identity);
    if (!ref) {
      ref = this.update.addStream({}, der);
      this.#refs.set(identity, ref);
      (this.added[key] ??= []).push(ref);
      this.size++;
    }
    return ref;
  }
}

function identify(key: DssKey, der: Uint8Array): string {
  return key + createHash("sha256").update(der).digest("hex");
}
