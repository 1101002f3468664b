/**
 * Messages between the agent and its consent page, and nobody else:
 *
 * - `GET /consent#TICKET` is the page; the ticket stays in the fragment and travels as `Authorization: Bearer TICKET`.
 * - `GET /consent/view` → {@linkcode ConsentView}
 * - `GET /consent/alive` → a stream of newline-delimited {@linkcode ConsentEvent}; the page holds it open for as long as
 *   it shows the request, and its end tells the agent that the window was closed.
 * - `GET /consent/revision/N?certificate=ID` → {@linkcode ShownRevision}, where the signature goes into the PDF
 * - `GET /consent/document/N?certificate=ID&revision=DIGEST` → the bytes of that revision; without these, those of item
 *   N, where it has {@linkcode ConsentItem.pdf}; with byte ranges
 * - `GET /consent/signatures/N` → {@linkcode PdfFacts} of it
 * - `GET /consent/look/N` → {@linkcode LookedAt}: item N of a batch, whose documents come when they are looked at
 * - `POST /consent/answer` {@linkcode ConsentReply} → {@linkcode Unlocked}
 */
import type { Certificate, PdfOptions, Scope, Token } from "./methods.ts";
import type { ErrorCode } from "./errors.ts";
import type { RouteReport } from "./report.ts";

/** A thing to be signed, as far as it can be shown. */
export interface ConsentItem {
  name: string;
  mediaType: string;
  /** Bytes; null for a bare digest. */
  size: number | null;
  hash: { algorithm: string; hex: string };
  /**
   * The beginning of exactly the bytes to be signed where they are text (JSON in canonical form); null if they
   * are not text or only a digest is known.
   */
  preview: { text: string; truncated: boolean } | null;
  /**
   * Of JSON, how the page wrote it: `json` is the same value with its members in the page's order, and `labels` what the
   * page calls them. Nothing of it is signed, so it may only lay out what `preview` says.
   */
  written?: { json: string; labels?: Record<string, string> };
  /** Of a PDF: that its pages can be shown, and what the signature will add; null: it goes beside the document. */
  pdf?: { adds: PdfAdditions | null };
  /** Names in the certificates of those who have signed the same content already; their signatures hold. */
  signedBy?: SignedBefore[];
  /** The signing route that the content is on. */
  route?: Pick<RouteReport, "steps" | "next">;
}

/** How an item of a batch is shown, by its bytes. */
export type LookedAt = Pick<ConsentItem, "mediaType" | "preview" | "pdf">;

/** Visible additions of a signature to a PDF. */
export type PdfAdditions =
  & Pick<PdfOptions, "level" | "field" | "reason" | "location" | "certify">
  & {
    locks: boolean;
    /**
     * Where it is seen: the page, counted from 1, or null where the revision tells it; and what is shown with it. In a
     * batch, the place may be a text of each document.
     */
    visible: {
      page: number | null;
      anchor: string | null;
      role: string | null;
      picture: boolean;
      /** The text of the QR code. */
      qr: string | null;
    } | null;
  };

/** Where a signature is seen on a page. */
export interface PlacedBox {
  /** From 1. */
  page: number;
  /** Left, bottom, right, top in points from the lower left corner of the page as it is displayed. */
  box: [number, number, number, number];
  /** It covers text; null where that cannot be told. */
  overText: boolean | null;
  /** It takes more than a tenth of the page. */
  large: boolean;
}

/** The revision of a PDF that is signed with a certificate: what {@linkcode ConsentReply} approves. */
export interface ShownRevision {
  /** Of what is signed, in hex. */
  digest: string;
  boxes: PlacedBox[];
}

/** Facts about a PDF before it is signed. */
export interface PdfFacts {
  /** Password, for the page that shows it. */
  password: string | null;
  /** It is damaged: what other programs show may differ. */
  damaged: boolean;
  /** Its author permits it to be signed. */
  permitted: boolean;
  signatures: EarlierSignature[];
}

/** Signer of the same content. */
export interface SignedBefore {
  /** Name in the certificate. */
  name: string;
  /** The certificate leads to a root that this computer trusts; else anybody may have made it. */
  proven: boolean;
}

export interface EarlierSignature {
  field: string;
  kind: "signature" | "timestamp";
  /** Name in the signer's certificate; not validated against any authority. */
  signer: string | null;
  status: "valid" | "invalid" | "indeterminate";
  /** RFC 3339; claimed by the signer unless `timestamped`. */
  time: string | null;
  timestamped: boolean;
  /** The certificate leads to a root that this computer trusts; else anybody may have made it. */
  proven: boolean;
  reason: string | null;
  /** Later changes that it allows, if it certifies the document. */
  certifies: 1 | 2 | 3 | null;
  /** Which revision it covers, the first being 1, of how many; null if that cannot be told. */
  revision: { number: number; of: number } | null;
  /** Changes after it; null if they cannot be told. */
  changes: LaterChange[] | null;
}

/** A change after a signature. */
export interface LaterChange {
  name: string;
  kind: string;
  /** `unclear`: the signature neither forbids it nor vouches for what it shows. */
  verdict: "allowed" | "unclear" | "forbidden";
  reason: string | null;
}

/** The asker. */
export interface Asker {
  /** Web origin; null: the person, at the command line of this computer or on the agent's own page. */
  origin: string | null;
  /** The agent's own page. */
  own?: true;
  /** When the person first allowed the origin anything, RFC 3339; null: never. */
  trustedSince: string | null;
  /** The administrator's configuration allows the origin what it asks, and the person was not asked. */
  allowedByAdministrator?: boolean;
  /** The asker's own words. */
  purpose: string | null;
  /** Seconds that the asker wishes the person to have. */
  answerWithin?: number;
}

/** A certificate offered for choice, with its token's state. */
export interface Choice {
  /** What an answer calls it: the certificate's `id`, or its `uri` where several tokens have the certificate. */
  id: string;
  certificate: Certificate;
  token: Token;
  /** The kind of signature by the certificate's policies (India); only what the certificate claims. */
  kind: "token_dsc" | "esign" | "document_signer" | "departmental" | "unknown";
  /** Of a batch: how many documents were signed with it in an earlier attempt, and are not signed again. */
  signed?: number;
}

/** How a token's PIN is asked for now. */
export interface PinState {
  /**
   * Where the PIN is typed. `windows`: in a dialog of Windows, which comes when the key signs. `unlocked`: none is needed.
   * `impossible`: the token takes none.
   */
  entry: "typed" | "keypad" | "windows" | "unlocked" | "impossible";
  /** Why it is impossible; else null. */
  why: (ErrorCode & ("pin_locked" | "pin_not_set" | "token_not_initialised")) | null;
  /** Which warning about the tries left to show. */
  tries: "low" | "final" | "unknown" | null;
  /** The person must confirm that this may be the last try; the answer then has `finalTry`. */
  confirm: boolean;
  /** It is the password of a key file. */
  password?: true;
}

/** A certificate offered for a signature. */
export interface SignChoice extends Choice {
  pin: PinState;
  /** Digest of the PDF's revision that was prepared for it already; those for others are prepared when they are shown. */
  revision?: string;
}

export interface GrantRequest {
  kind: "grant";
  asker: Asker;
  scopes: Scope[];
  /** RFC 3339. */
  expiresAt: string;
}

export interface ChooseRequest {
  kind: "choose";
  asker: Asker;
  /** Non-empty, usable ones only. */
  choices: Choice[];
  /** `id` of the choice that the person made for this asker before, if it is among them. */
  preferred?: string;
}

export interface SignRequest {
  kind: "sign";
  asker: Asker;
  items: ConsentItem[];
  /** Digests only: nothing of what they stand for can be shown. */
  blind: boolean;
  /** Not for a document: the signature signs the person in to the asker's site. */
  login?: true;
  /** Non-empty; one only where the page named the certificate. */
  choices: SignChoice[];
  /** `id` of the choice that the person made for this asker before, if it is among them. */
  preferred?: string;
  /**
   * A second key, which then signs all of the signed file, in a file beside it. It is opened after the first, with its
   * own PIN. Only commands ask for it.
   */
  also?: SignChoice;
  /** Earlier signatures on the signing route are unproven: the answer must accept that. */
  unproven?: true;
  /** Above level B-B: what is asked on the network after the key has signed. Without an answer nothing is given out. */
  network?: {
    level: "B-T" | "B-LT" | "B-LTA";
    /** Host of the time-stamping service; null: none is configured, and it will fail. */
    timestampAuthority: string | null;
  };
  /** Many documents that come after the consent, each checked against its item. */
  batch?: true;
  /**
   * What the answer must repeat: SHA-256 (hex) over the items' hashes in order; of a batch, that of its list, which is
   * shown.
   */
  binding: string;
}

/**
 * How an attempt to unlock the token with an answer ended. Where `again`, the person may answer again, and `pin` tells
 * how; it is absent for an OTP.
 */
export type Unlocked =
  | { ok: true }
  | { ok: false; code: ErrorCode; message: string; again: boolean; pin?: PinState };

/** After the consent to a signature: an OTP that a remote signing service wants for it. */
export interface OtpRequest {
  kind: "otp";
  asker: Asker;
  /** Names of what is signed; empty if a thing has none. */
  names: string[];
  /** The service's name in the configuration. */
  service: string;
  /** The service's own words on where the OTP comes from; may be empty. */
  description: string;
  /** It can be sent again. */
  canResend: boolean;
}

/** The PIN of a token, for something else than a signature. */
export interface PinRequest {
  kind: "pin";
  asker: Asker;
  token: Token;
  /** `certificates`: to read those that the token shows only then; `change`: a new PIN is typed too. */
  purpose: "certificates" | "change";
  /** It is the password of a key file. */
  password: boolean;
  pin: PinState;
  /** Length of a new PIN in bytes; 0: the token does not tell. */
  length: { min: number; max: number };
}

export type ConsentRequest = GrantRequest | ChooseRequest | SignRequest | OtpRequest | PinRequest;

export interface ConsentView {
  request: ConsentRequest;
  /** BCP 47: `en`, `bn` or `hi`. */
  language: string;
  /** RFC 3339: when the question lapses. */
  deadline: string;
  /** RFC 3339: until when more time can be had. */
  latest: string;
  /** The person's own words, which no web page knows; where some were chosen. */
  phrase?: string;
}

export type ConsentReply =
  | { decision: "decline" }
  /** Nothing is answered by it; {@linkcode ConsentEvent} `extended` tells the new deadline. */
  | { decision: "more_time" }
  /** For `otp`: it is to be sent again. Nothing is answered by it. */
  | { decision: "resend" }
  | {
    decision: "approve";
    /** {@linkcode Choice.id}; for `choose` and `sign`. */
    certificate?: string;
    /** For `sign`, where it is typed here; for `otp`, the OTP. */
    pin?: string;
    /** For `pin`, where the PIN is changed. */
    newPin?: string;
    /** {@linkcode SignRequest.binding} of what was shown; for `sign`. */
    binding?: string;
    /** {@linkcode ShownRevision.digest} of what was shown, where the signature goes into a PDF. */
    revision?: string;
    /** The person has confirmed that this may be the last try before the token locks. */
    finalTry?: true;
    acceptsUnproven?: true;
  };

/** `waiting` is a heartbeat; `ended` says that nothing is asked any more, and why (null: it was answered). */
export type ConsentEvent =
  | { event: "waiting" }
  | { event: "extended"; deadline: string }
  | { event: "ended"; code: ErrorCode | null };
