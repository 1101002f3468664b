/** Puts the agent together from its parts, and the signing that it shares with the command line. */
import type { Certificate } from "../formats/x509/certificate.ts";
import type { PkiFetch } from "../online/pki_http.ts";
import type { Provider } from "../signers/provider.ts";
import { loadTrusted } from "../settings/anchors.ts";
import { Appearances } from "../signing/appearance.ts";
import { Audit } from "../signing/audit.ts";
import type { AskBy, Consent } from "../signing/consent/port.ts";
import { Journals } from "../signing/journal.ts";
import { Placement } from "../signing/placement.ts";
import type { DocumentReader } from "../signing/reading.ts";
import type { Signing } from "../signing/sign.ts";
import { Spool } from "../signing/spool.ts";
import { Tokens } from "../signing/tokens.ts";
import { bind, type PortOptions } from "./bind.ts";
import { ConsolePins } from "./console_pins.ts";
import { createDispatch } from "./handlers.ts";
import { AgentIdentity } from "./identity.ts";
import { KeyFiles } from "./key_files.ts";
import { type AllowedOrigin, Origins } from "./origins.ts";
import { type Agent, type AgentParts, serve } from "./server.ts";

/** The parts of signing, for requests of any kind. */
export interface SigningOptions {
  providers: readonly Provider[];
  /** Folder of the built pages, ending in a slash: fonts and pictures of signatures are there. */
  web: URL;
  /** Starts the process in which a PDF's text is searched (text_worker.ts). */
  textCommand: readonly string[];
  /** Folder of the journals of batches. */
  batches: string;
  /** Folders of the root certificates that are trusted. */
  trust?: readonly string[];
  /** Policies of departmental PIN/OTP services. */
  departmentalPolicies?: string[];
  /** Whether ML-DSA keys may sign. Default: false. */
  postQuantum?: boolean;
  /** Milliseconds for which a token stays unlocked after a PIN. Default 0: only for the request. */
  keepLogin?: number;
  /** Sites for which the administrator lets SHA-1 be used. */
  legacyOrigins?: readonly string[];
  /** RFC 3161 service; without it, signatures have no timestamps. */
  timestampAuthority?: string;
  /** How addresses that stand in certificates are fetched. */
  pkiFetch?: PkiFetch;
  now?: () => Date;
}

const clock = () => new Date();

/** Signing with these parts; its closing leaves them open. */
export async function composeSigning(
  options: SigningOptions,
  { consent, audit, reader, tokens, anchors = () => loadTrusted(options.trust ?? []) }: {
    consent: Consent;
    audit: Audit;
    reader: DocumentReader;
    tokens?: Tokens;
    anchors?: () => Promise<readonly Certificate[]>;
  },
): Promise<Signing> {
  const { now = clock, timestampAuthority, pkiFetch, keepLogin = 0, legacyOrigins } = options;
  const { Signing } = await import("../signing/sign.ts");
  const { Online } = await import("../online/services.ts");
  return new Signing(
    tokens ??
      new Tokens(options.providers, now, options.departmentalPolicies, options.postQuantum),
    consent,
    keepLogin,
    {
      appearances: new Appearances(options.web),
      online: new Online({ reader, timestampAuthority, pkiFetch, now }),
      placement: new Placement(options.textCommand),
      audit,
      journals: new Journals(options.batches),
      legacyOrigins,
      reader,
      anchors,
    },
  );
}

export interface AgentOptions
  extends SigningOptions, PortOptions, Pick<AgentParts, "version" | "settings" | "firstStart"> {
  consent: AskBy;
  /** Folder of the key files that the person adds in the console; without it none is added. */
  keyFiles?: string;
  /** File of the agent's key; without it the key lives as long as the agent. */
  identity?: string;
  /** File of the grants. */
  grants: string;
  /** Folder of the audit log. */
  audit: string;
  /** Folder for documents while they are open; the agent's alone. */
  spool: string;
  /** Has untrusted documents parsed. */
  reader: DocumentReader;
  /** Grants of the administrator. */
  allowedOrigins?: readonly AllowedOrigin[];
  /** A trial agent, which says so in its results, which only these sites reach, and which trusts its own root alone. */
  trial?: { admits(origin: string): boolean; root: Certificate };
  /** Whether other sites may ask the person for a grant. Default: `ask`. */
  otherOrigins?: "ask" | "refuse";
}

/**
 * Starts the agent. Its closing ends connections and logins too; the providers and the reader stay open: they are the caller's.
 *
 * @throws {DsignError} `busy` if no port is free; `storage_failed` if the grants cannot be read
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { allowedOrigins = [], now = clock, providers, version, trust = [], pkiFetch } = options;
  const { departmentalPolicies, reader } = options;
  const tokens = new Tokens(providers, now, departmentalPolicies, options.postQuantum);
  const origins = await Origins.load(options.grants, allowedOrigins, now, options.otherOrigins);
  const identity = await AgentIdentity.load(options.identity);
  const bound = await bind(options);
  const consent = typeof options.consent === "function"
    ? options.consent(`http://127.0.0.1:${bound.windowPort}`)
    : options.consent;
  const audit = new Audit(options.audit, now);
  // Loaded for the first request that needs it: an agent that waits stays small.
  let loading: Promise<Signing> | undefined;
  const { trial } = options;
  const anchors = () => trial ? Promise.resolve([trial.root]) : loadTrusted(trust);
  const parts = { consent, audit, reader, tokens, anchors };
  const signing = () => loading ??= composeSigning(options, parts);
  const spool = Spool.open(options.spool);
  const revocation = trial && "if_available" as const; // nobody says anything about its certificates
  const verification = { reader, anchors, revocation, departmentalPolicies, pkiFetch, now };
  const services = {
    ...{ version, identity, tokens, signing, origins, spool, audit, verification },
    isTrial: trial !== undefined,
  };
  const dispatch = createDispatch(services);
  const { web, settings, firstStart } = options;
  const agent = serve({
    ...{ bound, providers, origins, audit, consent, dispatch },
    ...{ version, web, allowedOrigins, trust, trial, settings, firstStart },
    pins: new ConsolePins(tokens, signing),
    keyFiles: options.keyFiles === undefined ? undefined : new KeyFiles(options.keyFiles, reader),
  });
  return {
    ...agent,
    async close() {
      await agent.close();
      // If it could not be loaded, the request has already failed.
      await loading?.then((signing) => signing.close(), () => {});
      audit.close();
    },
  };
}
