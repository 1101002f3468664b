/**
 * Messages between the agent and its console, over HTTP on the agent's origin: `POST /console/…` with a JSON
 * body. Browsers name the origin of every POST, so that no other page gets an answer.
 */
import type { Scope } from "./methods.ts";

/** A site that may do something; `POST /console/sites` gives a list of them. */
export interface Site {
  origin: string;
  scopes: Scope[];
  /** RFC 3339; null: only the administrator allows it, and only there can it be taken back. */
  grantedAt: string | null;
  /** RFC 3339; null: it does not expire. */
  expiresAt: string | null;
}

/** A program that has a port which would have been D-Sign's; `POST /console/ports` gives a list of them. */
export interface PortHolder {
  port: number;
  /** null where the system does not tell. */
  user: string | null;
  program: string | null;
}

/** Body of `POST /console/history`. */
export interface HistoryRequest {
  /** Only what was before this entry. */
  before?: number;
}

/** One entry of the audit log. */
export interface HistoryEntry {
  number: number;
  /** RFC 3339. */
  time: string;
  action: "sign" | "authenticate" | "grant" | "revoke" | "unlock" | "change_pin";
  /** null: the command line. */
  origin: string | null;
  /** For `unlock` and `change_pin`. */
  token?: { uri: string; label: string };
  format?: string;
  documents?: { name: string; algorithm: string; hash: string }[];
  /** How many there were, where not all are listed. */
  documentCount?: number;
  /** Of a batch: SHA-256 of its list, and how many were signed at its end. */
  manifest?: string;
  signed?: number;
  certificate?: { id: string; name: string };
  scopes?: Scope[];
  /** `done`; `begun`, of a batch; or an error code. */
  outcome: string;
}

export interface History {
  /** Newest first. */
  entries: HistoryEntry[];
  /** There are older ones. */
  more: boolean;
}

/** Answer of `POST /console/verify`. */
export interface HistoryReport {
  entries: number;
  /** The first line that is not as it was written; null: all are. */
  fault: { file: string; line: number } | null;
}

/** A root certificate; `POST /console/roots` gives a list of the trusted ones. */
export interface Root {
  subject: string;
  issuer: string;
  /** RFC 3339. */
  notBefore: string;
  notAfter: string;
  /** Fingerprint, hexadecimal. */
  sha256: string;
  /** Name of a root that D-Sign knows; that is no reason to trust it. */
  known: string | null;
  /** A root of India's CCA, by its name: its fingerprint is published on cca.gov.in. */
  isOfCca: boolean;
  /** It is trusted because of the administrator, and only there can it be removed. */
  isAdministrators: boolean;
  /** Why it cannot be trusted as a root; null: it can. */
  refused: "issued_by_another" | "not_an_authority" | "not_self_signed" | "of_trial" | null;
}

/**
 * Body of `POST /console/roots/read`, which answers with the certificates in a file, and of `/console/roots/add`, which
 * trusts them: those whose fingerprints were shown, and no others.
 */
export interface RootFile {
  /** PEM or DER, in Base64. */
  file: string;
  shown?: string[];
}

/** What the console can do about a token's PIN; `POST /console/pins` gives a list, one for each token. */
export interface TokenPin {
  uri: string;
  driver: string;
  /** The token may show certificates after its PIN. */
  hides: boolean;
  /** Its PIN can be changed. */
  changes: boolean;
}

/** Body of `POST /console/pin`: asks in the agent's own window, and answers when that is over. */
export interface PinTask extends Pick<TokenPin, "uri" | "driver"> {
  purpose: "certificates" | "change";
}

/** Answer of `POST /console/settings`, and body of `POST /console/language`. */
export interface ConsoleSettings {
  language: string;
}
