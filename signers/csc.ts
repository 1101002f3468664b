/**
 * Remote credentials: keys at a service that speaks the Cloud Signature Consortium's API, version 1 or 2. The person
 * authorizes every signature, by PIN and OTP that D-Sign asks for, or at the service's own page in a browser
 * (EN 419 241-1: sole control, level 1 and 2). Signatures that are wanted at the same moment are authorized together.
 */
import { createHash } from "node:crypto";
import * as z from "zod";
import { digest, HASHES } from "../formats/digest.ts";
import type { SignatureAlgorithm, Signer, SigningInput } from "../formats/signer.ts";
import { isMlDsa } from "../formats/keys/ml_dsa.ts";
import { OIDS } from "../protocol/csc.ts";
import { algorithmFor, chainOf, find } from "./certificates.ts";
import { CscHttp, CscRefusal } from "./csc_http.ts";
import { codeByBrowser, type CscLogin, CscSession, type OpenBrowser, redeem } from "./csc_login.ts";
import {
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Provider,
  SignerError,
  type TokenInfo,
} from "./provider.ts";

export interface CscService {
  /** Shown to the person. */
  name: string;
  /** As `https://sign.example/csc/v2`. */
  url: string;
  login: CscLogin;
  /** Whose credentials, where the login is not the person's own. */
  userID?: string;
}

/** Limits on a service's lists. */
const MAX_CREDENTIALS = 32;

const text = z.string().max(255);
const Info = z.object({
  specs: z.string().max(32),
  oauth2: z.string().max(2048).optional(),
});
const List = z.object({ credentialIDs: z.array(text.min(1)) });

/** `true`, `false` or `optional` in version 1 (§11.5); there it is a string. */
const presence = z.union([z.boolean(), z.string()]).transform((value) => `${value}` !== "false");
const V1Factor = z.object({ presence, type: z.string().optional(), description: text.optional() })
  .optional();
const Credential = z.object({
  key: z.object({ status: z.string(), algo: z.array(z.string()) }),
  cert: z.object({ certificates: z.array(z.base64()).default([]) }),
  multisign: z.number().int().min(1),
  SCAL: z.string().default("1"),
  // version 2
  auth: z.object({
    mode: z.string(),
    objects: z.array(z.object({
      type: z.string(),
      id: text,
      generator: z.string().optional(),
      description: text.optional(),
    })).default([]),
  }).optional(),
  // version 1
  authMode: z.string().optional(),
  PIN: V1Factor,
  OTP: V1Factor,
});
const Sad = z.object({ SAD: z.string().min(1).max(8192) });
const SadToken = z.object({ access_token: z.string().min(1).max(8192) });
const Signatures = z.object({ signatures: z.array(z.base64()) });

/** How one credential is authorized and signs. */
interface Remote {
  id: string;
  mode: "implicit" | "explicit" | "oauth2code";
  /** Its name in version 2; null: none is wanted. */
  pin: string | null;
  /** `online`: the service sends it when asked. */
  otp: { id: string; online: boolean; description: string } | null;
  /** Object identifiers. */
  algorithms: readonly string[];
  /** Signatures of one authorization. */
  multisign: number;
}

/** The credentials of one service. */
export class CscProvider implements Provider {
  readonly #http: CscHttp;
  readonly #session: CscSession;
  readonly #watchers = new Set<() => void>();
  readonly #stop = new AbortController();
  #info: Promise<z.output<typeof Info>> | undefined;
  /** By the token's URI. */
  readonly #remotes = new Map<string, Remote>();

  /** @param showPage shows the service's own page, for the logins and credentials that want it */
  constructor(readonly service: CscService, readonly showPage: OpenBrowser) {
    const { name, url, login } = service;
    this.#http = new CscHttp(name, url);
    const changed = () => this.#watchers.forEach((each) => each());
    this.#session = new CscSession(this.#http, login, showPage, changed, this.#stop.signal);
  }

  async list(signal?: AbortSignal): Promise<Listing> {
    const listing: Listing = { tokens: [], keys: [], problems: [] };
    const problem = (error: unknown) => {
      const { code, message } = toSignerError(error, this.service.name);
      listing.problems.push({ driver: this.service.name, code, message });
    };
    try {
      const { userID } = this.service;
      const { credentialIDs } = await this.call(
        "credentials/list",
        userID === undefined ? {} : { userID },
        List,
        signal,
      );
      for (const id of credentialIDs.slice(0, MAX_CREDENTIALS)) {
        try {
          const key = this.#keyOf(id, await this.#credential(id, signal));
          listing.tokens.push(key.token);
          listing.keys.push(key);
        } catch (error) {
          signal?.throwIfAborted();
          problem(error); // this credential's; the others may be well
        }
      }
    } catch (error) {
      signal?.throwIfAborted();
      problem(error);
    }
    return listing;
  }

  // deno-lint-ignore require-await -- a failure is a rejection
  async open(key: KeyInfo, { hash, askPin, signal }: OpenOptions): Promise<Signer> {
    const algorithm = algorithmFor(key.certificate, hash);
    const remote = this.#remotes.get(key.token.uri);
    if (!remote) {
      throw new SignerError("token_not_present", `${this.service.name} does not list this key.`);
    }
    return new CscSigner(this, remote, key, signAlgorithm(remote, algorithm), algorithm, {
      askPin,
      signal,
    });
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#watchers.clear();
    this.#stop.abort();
  }

  /** 1 or 2, as `info` says. */
  async version(signal?: AbortSignal): Promise<1 | 2> {
    return /^[2-9]/.test((await this.#about(signal)).specs) ? 2 : 1;
  }

  /** Calls a method as the person who is signed in. @throws {CscRefusal | SignerError} */
  async call<T>(
    method: string,
    body: unknown,
    result: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { oauth2 } = await this.#about(signal);
    const authorization = await this.#session.authorization(oauth2, signal);
    try {
      return await this.#http.call(method, body, result, { authorization, signal });
    } catch (error) {
      if (error instanceof CscRefusal && error.status === 401) this.#session.forget();
      throw error;
    }
  }

  /** Has PIN and OTP given at the service's own page. @returns the SAD */
  async authorizeByBrowser(
    parameters: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<string> {
    const { login } = this.service;
    const { oauth2 } = await this.#about(signal);
    if (login.type !== "browser" || !oauth2) throw byBrowserOnly(this.service.name);
    const stop = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    const given = { scope: "credential", ...parameters };
    const fields = await codeByBrowser(this.#http, login, oauth2, given, this.showPage, stop);
    const { access_token } = await redeem(this.#http, login, oauth2, fields, SadToken, signal);
    return access_token;
  }

  #about(signal?: AbortSignal) {
    this.#info ??= this.#http.call("info", {}, Info, { signal }).catch((error) => {
      this.#info = undefined;
      throw error;
    });
    return this.#info;
  }

  async #credential(credentialID: string, signal?: AbortSignal) {
    const wanted = { credentialID, certificates: "chain", certInfo: false, authInfo: true };
    return await this.call("credentials/info", wanted, Credential, signal);
  }

  #keyOf(id: string, info: z.output<typeof Credential>): KeyInfo {
    const { name, login, url } = this.service;
    const [certificate, ...others] = info.cert.certificates.map((each) =>
      find(Uint8Array.fromBase64(each))
    );
    if (!certificate) {
      throw new SignerError(
        "certificate_not_found",
        `${name} makes a new key of ${id} for each signature. Sign with it at the portal.`,
      );
    }
    const remote = remoteOf(id, info);
    if (remote.mode === "oauth2code" && login.type !== "browser") throw byBrowserOnly(name);
    const serialNumber = createHash("sha256").update(`${url}\n${id}`).digest("hex").slice(0, 16);
    const token: TokenInfo = {
      uri: `pkcs11:token=${encodeURIComponent(name)};manufacturer=CSC;model=remote;` +
        `serial=${serialNumber}`,
      label: name,
      manufacturer: "CSC",
      model: "remote",
      serialNumber,
      driver: name,
      state: info.key.status === "enabled" ? "ready" : "pin_locked",
      protectedAuthenticationPath: remote.pin === null,
    };
    this.#remotes.set(token.uri, remote);
    const hash = createHash("sha1").update(certificate.der).digest("hex").toUpperCase();
    return {
      uri: `${token.uri};id=${hash.replace(/../g, "%$&")};type=cert`,
      token,
      certificate: certificate.der,
      chain: chainOf(certificate, others),
      hasKey: true,
      eachSignature: true,
      digestsOnly: true,
    };
  }
}

const byBrowserOnly = (name: string) =>
  new SignerError(
    "mechanism_unsupported",
    `${name}: this key is authorized in a browser. Set its login to "browser" in the configuration.`,
  );

/** Both versions' descriptions in one. */
function remoteOf(id: string, info: z.output<typeof Credential>): Remote {
  const mode = info.auth?.mode ?? info.authMode ?? "explicit";
  if (mode !== "implicit" && mode !== "explicit" && mode !== "oauth2code") {
    throw new SignerError(
      "mechanism_unsupported",
      `${id} needs a kind of authorization that D-Sign does not know.`,
    );
  }
  const { key: { algo: algorithms }, multisign } = info;
  const remote: Remote = { id, mode, pin: null, otp: null, algorithms, multisign };
  if (mode !== "explicit") return remote;
  if (info.auth) {
    for (const { type, id, generator, description = id } of info.auth.objects) {
      if (type !== "Password") {
        throw new SignerError(
          "mechanism_unsupported",
          `D-Sign does not know the authentication factor ${id}.`,
        );
      }
      if (/otp/i.test(id)) remote.otp = { id, online: generator === undefined, description };
      else remote.pin = id;
    }
    return remote;
  }
  const { PIN, OTP } = info;
  if (PIN?.presence) remote.pin = "PIN";
  if (OTP?.presence) {
    remote.otp = { id: "OTP", online: OTP.type !== "offline", description: OTP.description ?? "" };
  }
  return remote;
}

/** Object identifiers for a signature: the one with the hash in it, where the service knows that, else the key's. */
function signAlgorithm(
  { algorithms }: Remote,
  { scheme, hash }: SignatureAlgorithm,
): { signAlgo: string; hashAlgorithm: string } {
  const hashAlgorithm = HASHES[hash].oid;
  const size = hash.slice("SHA-".length) as "256" | "384" | "512";
  const [own, key] = scheme === "ECDSA"
    ? [OIDS[`ecdsaWithSha${size}`], OIDS.ecPublicKey]
    : [OIDS[`sha${size}WithRsa`], OIDS.rsaEncryption];
  const signAlgo = [own, key].find((oid) => algorithms.includes(oid));
  if (!signAlgo || hash === "SHA-1" || scheme === "RSASSA-PSS" || isMlDsa(scheme)) {
    throw new SignerError("mechanism_unsupported", "The service cannot make this signature.");
  }
  return { signAlgo, hashAlgorithm };
}

interface Waiting {
  digest: Uint8Array;
  signal?: AbortSignal;
  resolve(signature: Uint8Array): void;
  reject(error: unknown): void;
}

/** A remote key for one request. */
class CscSigner implements Signer {
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];
  #waiting: Waiting[] = [];
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(
    readonly provider: CscProvider,
    readonly remote: Remote,
    key: KeyInfo,
    readonly oids: { signAlgo: string; hashAlgorithm: string },
    readonly algorithm: SignatureAlgorithm,
    readonly options: Pick<OpenOptions, "askPin" | "signal">,
  ) {
    this.certificate = key.certificate;
    this.chain = key.chain;
  }

  sign(input: SigningInput, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.#closed) {
      return Promise.reject(new SignerError("key_not_found", "The key is already closed."));
    }
    const hashed = "digest" in input ? input.digest : digest(this.algorithm.hash, input.message);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ digest: hashed, signal, resolve, reject });
      // Gather simultaneous signatures first.
      this.#working ??= new Promise<void>((ready) => setTimeout(ready, 0)).then(() => this.#work());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const together = this.#waiting.splice(0, this.remote.multisign);
      try {
        const signatures = await this.#signAll(together);
        together.forEach(({ resolve }, i) => resolve(signatures[i]));
      } catch (error) {
        const failure = error instanceof CscRefusal
          ? toSignerError(error, this.provider.service.name)
          : error;
        for (const { reject } of [...together, ...this.#waiting.splice(0)]) reject(failure);
      }
    }
    // At once: whoever waited may want the next signature before this promise has told its end.
    this.#working = undefined;
  }

  /** One authorization and what it signs. */
  async #signAll(together: readonly Waiting[]): Promise<Uint8Array[]> {
    const { provider, remote, oids } = this;
    const signal = together[0].signal ?? this.options.signal;
    const hashes = together.map(({ digest }) => new Uint8Array(digest).toBase64());
    const version = await provider.version(signal);
    const SAD = remote.mode === "oauth2code"
      ? await provider.authorizeByBrowser({
        credentialID: remote.id,
        numSignatures: `${hashes.length}`,
        [version === 1 ? "hash" : "hashes"]: hashes.map(toUrl).join(","),
        ...version === 2 && { hashAlgorithmOID: oids.hashAlgorithm },
      }, signal)
      : await this.#authorize(version, hashes, signal);
    const list = version === 1
      ? { hash: hashes, hashAlgo: oids.hashAlgorithm }
      : { hashes, hashAlgorithmOID: oids.hashAlgorithm };
    const { signatures } = await provider.call(
      "signatures/signHash",
      { credentialID: remote.id, SAD, ...list, signAlgo: oids.signAlgo },
      Signatures,
      signal,
    );
    if (signatures.length !== hashes.length) {
      throw new SignerError("driver_error", "The service returned a wrong number of signatures.");
    }
    return signatures.map((each) => Uint8Array.fromBase64(each));
  }

  /** PIN and OTP, once: a wrong one ends the request, and nothing is tried again by itself. */
  async #authorize(version: 1 | 2, hashes: string[], signal?: AbortSignal): Promise<string> {
    const { provider, remote: { id: credentialID, pin, otp }, oids, options: { askPin } } = this;
    const { hashAlgorithm } = oids;
    const numSignatures = hashes.length;
    const send = async () => {
      const [method, body] = version === 1 ? ["credentials/sendOTP", { credentialID }] : [
        "credentials/getChallenge",
        // the hashes are more than the specification asks: the OTP is for them alone where the service knows how
        { credentialID, authObjectID: otp!.id, hashes, hashAlgorithmOID: hashAlgorithm },
      ];
      await provider.call(method, body, z.unknown(), signal);
    };
    const factors: { id: string; value: string }[] = [];
    if (pin !== null) factors.push({ id: pin, value: await spoken(askPin("signature")) });
    if (otp) {
      if (otp.online) await send();
      const { name: service } = provider.service;
      const { description } = otp;
      const asked = { service, description, resend: otp.online ? send : null };
      factors.push({ id: otp.id, value: await spoken(askPin("otp", asked)) });
    }
    const body = version === 1
      ? {
        credentialID,
        numSignatures,
        hash: hashes,
        ...Object.fromEntries(factors.map(({ id, value }) => [id, value])),
      }
      : {
        credentialID,
        numSignatures,
        hashes,
        hashAlgorithmOID: hashAlgorithm,
        authData: factors,
      };
    const { SAD } = await provider.call("credentials/authorize", body, Sad, signal);
    return SAD;
  }
}

/** Typed bytes for JSON: the bytes are wiped, the string cannot be. */
async function spoken(asked: Promise<Uint8Array>): Promise<string> {
  const bytes = await asked;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new SignerError(
      "pin_invalid",
      "The PIN has characters that cannot be sent to the service.",
    );
  } finally {
    bytes.fill(0);
  }
}

const toUrl = (base64: string) =>
  base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** What a person is told; a failure that is none of the service's is passed on. */
function toSignerError(error: unknown, name: string): SignerError {
  if (error instanceof SignerError) return error;
  if (!(error instanceof CscRefusal)) throw error;
  const { error: code, description, status } = error;
  if (/locked/i.test(description)) {
    return new SignerError("pin_locked", `${name}: the PIN is locked. Ask its administrator.`);
  }
  if (/^invalid_(pin|otp|authentication_data)$/.test(code)) {
    return new SignerError("pin_incorrect", "The PIN or the OTP is wrong. Nothing was signed.");
  }
  if (status === 401 || code === "authentication_error") {
    return new SignerError("token_not_present", `${name} does not accept the login.`);
  }
  return new SignerError("driver_error", `${name} says: ${description || code}`);
}
