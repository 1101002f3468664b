/** The inserted tokens, for pages and people: the providers' listings in terms of the contract. */
import { FormatError } from "../formats/error.ts";
import type { PublicKey } from "../formats/keys/public_key.ts";
import { indiaFacts } from "../formats/x509/india.ts";
import {
  type Certificate as X509,
  readCertificate,
  signingUse,
  type UnusableReason,
} from "../formats/x509/certificate.ts";
import type { HashName } from "../formats/signer.ts";
import type { Choice } from "../protocol/consent.ts";
import { type Certificate, HashAlgorithm, type Token } from "../protocol/methods.ts";
import { base64Of, hashWith } from "./certificates.ts";
import type { KeyInfo, Problem, Provider, TokenInfo } from "../signers/provider.ts";

/** A certificate on a token, and the way to its key. */
export interface Credential {
  /** Of the certificate. */
  id: string;
  /** {@linkcode Choice.id} */
  choice: string;
  key: KeyInfo;
  provider: Provider;
}

export interface Inventory {
  tokens: Token[];
  /** Those usable for signing first. */
  credentials: Credential[];
  /** The tokens with their providers, for what is done to them. */
  places: { token: TokenInfo; provider: Provider }[];
  problems: Problem[];
  /** A driver works, so that no token in the list means that none is inserted. */
  works: boolean;
}

/** The least bits of an RSA modulus that are still signed with (NIST SP 800-131A). */
const MIN_RSA_BITS = 2048;

const REASONS: Record<UnusableReason, Certificate["reason"]> = {
  certificate_expired: "certificate_expired",
  certificate_not_yet_valid: "certificate_not_yet_valid",
  encryption_only: "certificate_not_for_signing",
  ca_certificate: "certificate_not_for_signing",
  not_for_documents: "certificate_not_for_signing",
  algorithm_unsupported: "algorithm_forbidden",
};

/** The part of a description that time does not change. */
interface Parsed {
  x509: X509;
  described: Omit<Certificate, "uri" | "chain" | "usable" | "reason">;
  kind: Choice["kind"];
}

/** Certificates read before: reading one takes longer than asking a kept login for a signature. */
const MAX_PARSED = 256;

export class Tokens {
  #parsed = new Map<string, Parsed>();
  /** The same for bytes at hand, as those of an open key. */
  readonly #parsedBytes = new WeakMap<Uint8Array, Parsed>();
  #running: Promise<Inventory> | undefined;
  #next: Promise<Inventory> | undefined;
  /** Of all keys listed so far: a token that is away for a moment has not gone. */
  #hashes: Set<HashName> | undefined;

  /**
   * @param departmentalPolicies by which departments' PIN/OTP signatures are told apart
   * @param postQuantum whether ML-DSA keys may sign
   */
  constructor(
    readonly providers: readonly Provider[],
    readonly now: () => Date,
    readonly departmentalPolicies?: readonly string[],
    readonly postQuantum = false,
  ) {}

  /**
   * Digests of a document that is hashed before the certificate is chosen: those that the keys listed so far may need
   * beside the one that was asked for, or beside SHA-256. Before the first listing, those of any key.
   */
  otherHashes(asked: HashAlgorithm | undefined): readonly HashName[] {
    const always: HashName[] = this.postQuantum ? ["SHA-512"] : [];
    if (asked) return always;
    return this.#hashes ? [...always, ...this.#hashes] : ["SHA-384", "SHA-512"];
  }

  /**
   * The same by the certificates that are there, where a document is large and the person is not asked for long.
   *
   * @param certificate `id` of the only one that may be chosen
   */
  async usualHashes(certificate?: string): Promise<HashName[]> {
    const { credentials } = await this.list();
    return this.#hashesOf(credentials, certificate);
  }

  #hashesOf(credentials: readonly Credential[], certificate?: string): HashName[] {
    const may = credentials.filter((each) =>
      certificate === undefined ? this.describe(each).usable : each.id === certificate
    );
    return [...new Set(may.map(({ key }) => hashWith(key.certificate, undefined)))];
  }

  /**
   * Lists the tokens inserted now. Only one scan runs at a time; all callers that arrive meanwhile share the next
   * scan, so nobody gets a result from before their call.
   */
  list(): Promise<Inventory> {
    if (!this.#running) return this.#start();
    this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  #start(): Promise<Inventory> {
    const listing = this.#list().finally(() => {
      if (this.#running === listing) this.#running = undefined;
    });
    return this.#running = listing;
  }

  async #list(): Promise<Inventory> {
    const listings = await Promise.all(this.providers.map((provider) => provider.list()));
    const problems = listings.flatMap((listing) => listing.problems);
    const credentials: Credential[] = [];
    listings.forEach(({ keys }, i) => {
      for (const key of keys) {
        try {
          const { id } = this.#parse(key.certificate).described;
          // One token may be reached through two drivers; the first that has the key is as good as any.
          const known = credentials.findIndex((each) =>
            each.id === id && isSameToken(each.key.token, key.token)
          );
          if (known >= 0 && (credentials[known].key.hasKey || !key.hasKey)) continue;
          if (known >= 0) credentials.splice(known, 1);
          credentials.push({ id, choice: id, key, provider: this.providers[i] });
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          problems.push({
            driver: key.token.driver,
            code: "certificate_malformed",
            message: `A certificate on the token "${key.token.label}" cannot be read.`,
          });
        }
      }
    });
    for (const same of Map.groupBy(credentials, ({ id }) => id).values()) {
      if (same.length > 1) { for (const each of same) each.choice = each.key.uri; }
    }
    this.#hashes ??= new Set();
    for (const each of this.#hashesOf(credentials)) this.#hashes.add(each);
    const rank = new Map(credentials.map((credential) => [credential, this.#rank(credential)]));
    // Tokens list their objects in any order, and the first is the one that is offered.
    credentials.sort((a, b) => rank.get(b)! - rank.get(a)! || (a.id < b.id ? -1 : 1));
    const places = listings.flatMap(({ tokens, keys }, i) =>
      tokens.filter((token) => !isDouble(token, keys, credentials))
        .map((token) => ({ token, provider: this.providers[i] }))
    );
    return {
      tokens: places.map(({ token }) => describeToken(token)),
      credentials,
      places,
      problems,
      works: listings.some(({ works, tokens }) => works || tokens.length > 0),
    };
  }

  /** Usable before others, those for documents before those for login, the one valid longest first. */
  #rank(credential: Credential): number {
    const { x509 } = this.#parse(credential.key.certificate);
    const group = !this.describe(credential).usable
      ? 0
      : x509.keyUsage?.has("nonRepudiation")
      ? 2
      : 1;
    return group * 1e14 + x509.notAfter.getTime() / 1000;
  }

  /** A certificate in the words of the contract, judged by the clock of now. */
  describe({ key }: Credential): Certificate {
    const { x509, described } = this.#parse(key.certificate);
    const reason = this.#whyNot(x509, key);
    return {
      ...described,
      uri: key.uri,
      chain: key.chain.map(base64Of),
      usable: reason === null,
      reason,
    };
  }

  /** The name of the certificate's subject. */
  nameOf({ key }: Credential): string {
    return this.#parse(key.certificate).described.commonName;
  }

  /** For the person to choose from, or to see. */
  choice(credential: Credential): Choice {
    return {
      id: credential.choice,
      certificate: this.describe(credential),
      token: describeToken(credential.key.token),
      kind: this.#parse(credential.key.certificate).kind,
    };
  }

  /** Why the certificate cannot be used for a signature now; null where it can. */
  whyNot({ key }: Credential): Certificate["reason"] {
    return this.#whyNot(this.#parse(key.certificate).x509, key);
  }

  #whyNot(x509: X509, { hasKey, missing, digestsOnly }: KeyInfo): Certificate["reason"] {
    const { reason } = signingUse(x509, this.now());
    if (reason) return REASONS[reason];
    const { type, bits } = x509.publicKey;
    if (type === "ml-dsa") {
      if (!this.postQuantum) return "post_quantum_disabled";
      if (digestsOnly) return "mechanism_unsupported";
    } else if (type !== "ec" && bits < MIN_RSA_BITS) return "algorithm_forbidden";
    return hasKey ? null : missing ?? "key_not_found";
  }

  #parse(der: Uint8Array): Parsed {
    let parsed = this.#parsedBytes.get(der);
    if (!parsed) this.#parsedBytes.set(der, parsed = this.#parseText(der, der.toBase64()));
    return parsed;
  }

  #parseText(der: Uint8Array, key: string): Parsed {
    const known = this.#parsed.get(key);
    if (known) return known;
    const x509 = readCertificate(der);
    const { publicKey, subject, issuer } = x509;
    const parsed: Parsed = {
      x509,
      described: {
        id: x509.fingerprint,
        certificate: key,
        subject: subject.toString(),
        commonName: subject.commonName ?? subject.toString(),
        issuer: issuer.toString(),
        serialNumber: x509.serialNumber.toHex(),
        notBefore: x509.notBefore.toISOString(),
        notAfter: x509.notAfter.toISOString(),
        ...describeKey(publicKey),
        class: classOf(x509),
      },
      kind: indiaFacts(x509, this.departmentalPolicies).kind,
    };
    if (this.#parsed.size === MAX_PARSED) this.#parsed.delete(this.#parsed.keys().next().value!);
    this.#parsed.set(key, parsed);
    return parsed;
  }
}

/** Whether two drivers may mean the same token: they agree on its serial number, or one does not tell it. */
function isSameToken(a: TokenInfo, b: TokenInfo): boolean {
  if (a.driver === b.driver) return a.uri === b.uri;
  const [one, other] = [a, b].map(({ serialNumber }) =>
    serialNumber.toLowerCase().replaceAll(/[^0-9a-z]/g, "").replace(/^0+(?=.)/, "")
  );
  return one === other || one === "" || other === "";
}

/** Whether all that a token without a serial number shows was found on others: it is one of them. */
function isDouble(token: TokenInfo, keys: readonly KeyInfo[], found: readonly Credential[]) {
  const isOn = (key: KeyInfo) => key.token.driver === token.driver && key.token.uri === token.uri;
  return token.serialNumber === "" && keys.some(isOn) && !found.some(({ key }) => isOn(key));
}

function describeKey({ type, bits, parameterSet }: PublicKey) {
  if (parameterSet) return { keyType: "ML-DSA", keySize: Number(parameterSet.slice(-2)) } as const;
  return { keyType: type === "ec" ? "EC" : "RSA", keySize: bits } as const;
}

function classOf(x509: X509): Certificate["class"] {
  const facts = indiaFacts(x509);
  return facts.class ? `${facts.class}` : facts.eKyc === "otp" ? "otp_ekyc" : null;
}

/** A token in the words of the contract. */
export function describeToken(token: TokenInfo): Token {
  const { uri, label, manufacturer, model, serialNumber, driver, state } = token;
  const { protectedAuthenticationPath } = token;
  return {
    uri,
    label,
    manufacturer,
    model,
    serialNumber,
    driver,
    state,
    protectedAuthenticationPath,
  };
}
