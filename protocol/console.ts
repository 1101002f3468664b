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
  action: "sign" | "authenticate" | "grant" | "revoke";
  /** null: the command line. */
  origin: string | null;
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

/** Answer of `POST /console/settings`, and body of `POST /console/language`. */
export interface ConsoleSettings {
  language: string;
}
