/** Rows of the database, as the rest of the service sees them. */
import type { Guard, Transaction } from "./authorize.ts";

/** A signatory. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role?: string;
  readonly email?: string;
  /** E.164. */
  readonly phone?: string;
  readonly language: "en" | "bn" | "hi";
  /** How the OTP reaches the person. */
  readonly otp: "mail" | "sms" | "totp";
  /** Secret of the authenticator, sealed. */
  readonly totp?: string;
}

/** A person with what changes by itself. */
export interface PersonRow {
  readonly person: Person;
  readonly guard: Guard;
  /** Encoded Argon2id hash; null until it was set. */
  readonly pin: string | null;
  /** Why an administrator locked; null: not locked. */
  readonly locked: string | null;
  /** Grows with every new PIN, lock and unlocking: what was given out before is good no longer. */
  readonly epoch: number;
}

/** A person's credential. */
export interface Credential {
  readonly id: string;
  readonly person: string;
  readonly kind: "one-time" | "stored";
  readonly mode: "explicit" | "oauth2code";
  readonly keyType: KeyType;
  /** Of a stored key: its identifier in the key store. */
  readonly key?: string;
  /** Of a stored key: serial number of its certificate, hex. */
  readonly serial?: string;
}

export type KeyType = "p-256" | "p-384" | "rsa-2048" | "rsa-3072";

/** Description of an authorization, for people. */
export interface Facts {
  readonly purpose: string;
  /** Names of the documents, in the order of the hashes. */
  readonly labels: readonly string[];
  /** SHA-256 of the consent text that the page showed, hex. */
  readonly consent?: string;
  /** Type of the `authorization_details` with which it was asked for, if it was. */
  readonly details?: string;
}

/** An authorization with whose it is. */
export interface AuthorizationRow {
  readonly transaction: Transaction;
  readonly person: string;
  readonly facts: Facts;
}

/** A person to whom something was given, and when: it ends with the {@linkcode PersonRow.epoch}. */
export interface Holder {
  person: string;
  epoch: number;
}

/** Meaning of an opaque value, stored under the value's hash. */
export type TokenData =
  | { kind: "access"; client: string; holder?: Holder; transaction?: string }
  | { kind: "refresh"; client: string; holder?: Holder }
  | { kind: "pushed"; client: string; parameters: Record<string, string> }
  | {
    kind: "ticket";
    client: string;
    /** Whether the client authenticated with its secret; strangers may know its name too. */
    pushed: boolean;
    transaction?: string;
    /** The request to sign after the person has signed in, if a stranger may have sent it. */
    request?: AuthorizationRequest;
    redirect: string;
    state?: string;
    challenge: string;
  }
  /** The change of a PIN, after the old one was given. */
  | { kind: "change"; transaction: string }
  | {
    kind: "code";
    client: string;
    redirect: string;
    challenge: string;
    holder: Holder;
    transaction?: string;
    sad?: string;
  }
  /** A code that was used, and what it gave: whoever brings it again ends that. */
  | { kind: "spent"; client: string; family: string; transaction?: string }
  /** A ticket for which anybody may have asked, after somebody has answered it. */
  | { kind: "answered" }
  | { kind: "enrolment"; holder: Holder; totp?: string }
  | { kind: "esign"; transaction: string };

export type TokenOf<K extends TokenData["kind"]> = Extract<TokenData, { kind: K }>;

/** An authorization that is asked for. */
export interface AuthorizationRequest {
  credential: string;
  binding: NonNullable<Transaction["binding"]>;
  facts: Facts;
}

export interface CertificateRow {
  /** Hex. */
  readonly serial: string;
  readonly person: string;
  readonly transaction: string | null;
  readonly der: Uint8Array;
  readonly notAfter: number;
  readonly revokedAt: number | null;
  readonly reason: string | null;
}

export interface ShownDocument {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A PDF that is signed by way of an eSign service provider. */
export interface EsignRow {
  /** `txn` of the eSign API. */
  readonly id: string;
  readonly client: string;
  readonly phase: "waiting" | "signed" | "failed";
  readonly facts: EsignFacts;
  /** While it waits: until when; then: when it is forgotten. Milliseconds since 1970. */
  readonly expires: number;
}

export interface EsignFacts {
  /** Of the document. */
  readonly name: string;
  readonly purpose: string;
  readonly language: "en" | "bn" | "hi";
  /** Return address of the browser, with the portal's state. */
  readonly redirect: string;
  readonly state?: string;
  /** Form that the person's browser POSTs to the provider. */
  readonly request: string;
  /** SHA-256 of what the signature covers, hex. */
  readonly digest: string;
  /** Between these offsets the signature's Contents stand in the PDF. */
  readonly contents: readonly [at: number, end: number];
  /** SHA-256 of the answer that counted, base64url. */
  readonly answer?: string;
  /** Answers that did not count, as far as the audit names them. */
  readonly refused?: number;
  readonly fetched?: true;
  readonly timestamped?: true;
  /** The document contains everything a later validation needs. */
  readonly longTerm?: true;
  readonly signer?: string;
  /** Of the signer, Base64. */
  readonly certificate?: string;
  readonly error?: { readonly code: string; readonly message: string };
  /** Of a signed one: what the log holds for its line, hex; it may be missing after a crash. */
  readonly entry?: string;
}
