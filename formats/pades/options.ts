import type { FieldOptions } from "./field.ts";
import type { DocMdp } from "./locks.ts";

/** Kind, place and statements of a signature. */
export interface SignatureOptions extends FieldOptions {
  /** `adbe.pkcs7.detached` only for portals that know nothing newer. */
  subFilter?: "ETSI.CAdES.detached" | "adbe.pkcs7.detached";
  /** An empty signature field to sign, or the name of a new one. Default: a free name. */
  field?: string;
  /** Claimed time of signing, to the second. */
  time?: Date;
  signerName?: string;
  reason?: string;
  location?: string;
  contactInfo?: string;
  /** Certifies the document and says what may follow; only as the first signature. */
  certify?: DocMdp;
  /** Bytes kept free for the CMS; the file grows by twice as many. */
  contentsSize?: number;
  /** Opens an encrypted document. */
  password?: string;
}

/** See the entries of the same names in {@link SignatureOptions}. */
export interface TimestampOptions {
  field?: string;
  contentsSize?: number;
  password?: string;
}
