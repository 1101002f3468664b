/** Tokens in memory that misbehave on demand. */
import { isMlDsa } from "../../formats/keys/ml_dsa.ts";
import type { HashName, SignatureAlgorithm, Signer } from "../../formats/signer.ts";
import {
  type AskPin,
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Problem,
  type Provider,
  SignerError,
  type SignerErrorCode,
  type TokenInfo,
} from "../../signers/provider.ts";
import { softwareKey } from "../../signers/software_key.ts";
import type { Officer } from "../fixtures/pki.ts";

export const PIN = "2468";

export class MemoryProvider implements Provider {
  readonly tokens: TokenInfo[];
  /** Wrong PINs until the lock; null: it does not say, and never locks. */
  triesLeft: number | null = 3;
  /** CKA_ALWAYS_AUTHENTICATE */
  alwaysAuthenticate = false;
  /** The PIN is looked at when the key signs, as by some providers of Windows. */
  looksLate = false;
  hasKey = true;
  /** Certificates are seen only after the PIN was typed for that. */
  hides = false;
  wrongSignature = false;
  failOpen: SignerErrorCode | undefined;
  failSign: SignerErrorCode | undefined;
  problems: Problem[] = [];
  /** Awaited before each signature. */
  beforeSign: (() => Promise<void>) | undefined;
  /** Events in order: `login 0`, `sign 0`, `logout 0`, with the token's number. */
  readonly story: string[] = [];
  lists = 0;
  readonly #watchers = new Set<() => void>();

  constructor(readonly officers: readonly Officer[]) {
    this.tokens = officers.map((_, i) => ({
      uri: `pkcs11:token=Officer%20${i};serial=${i}`,
      label: `Officer ${i}`,
      manufacturer: "Test",
      model: "Memory",
      serialNumber: String(i),
      driver: "memory",
      state: "ready",
      protectedAuthenticationPath: false,
    }));
  }

  list(): Promise<Listing> {
    this.lists++;
    if (this.hides) {
      const newPin = { min: 4, max: 8 };
      const tokens = this.tokens.map((each) => ({
        ...each,
        hidesCertificates: true as const,
        newPin,
      }));
      return Promise.resolve({ tokens, keys: [], problems: this.problems, works: true });
    }
    const keys = this.tokens.map((token, i) => ({
      uri: `${token.uri};id=%0${i}`,
      token: { ...token },
      certificate: this.officers[i].certificate.der,
      chain: this.officers[i].chain,
      hasKey: this.hasKey,
      ...this.looksLate && { eachSignature: true as const },
    }));
    return Promise.resolve({ tokens: this.tokens, keys, problems: this.problems, works: true });
  }

  async open(key: KeyInfo, { hash, askPin }: OpenOptions): Promise<Signer> {
    if (this.failOpen) throw new SignerError(this.failOpen, "As the test wanted.");
    const i = this.tokens.findIndex(({ uri }) => uri === key.token.uri);
    const isLoggedIn = this.story.findLast((each) => /^log.* /.test(each) && each.endsWith(`${i}`))
      ?.startsWith("login");
    if (isLoggedIn) throw new Error("A second login.");
    const typed = await askPin("login");
    if (!this.looksLate) await this.#checkPin(Promise.resolve(typed));
    this.story.push(`login ${i}`);
    let open = true;
    return {
      certificate: key.certificate,
      chain: key.chain,
      algorithm: this.#algorithm(i, hash),
      sign: async (input) => {
        if (!open) throw new Error("The key is closed.");
        await this.beforeSign?.();
        if (this.failSign) throw new SignerError(this.failSign, "As the test wanted.");
        if (this.looksLate) await this.#checkPin(Promise.resolve(typed.slice()));
        if (this.alwaysAuthenticate) await this.#checkPin(askPin("signature"));
        this.story.push(`sign ${i}`);
        const software = await softwareKey(this.officers[i].pkcs8);
        const signature = software.sign(this.#algorithm(i, hash), input);
        if (this.wrongSignature) signature[7] ^= 1;
        return signature;
      },
      close: () => {
        if (!open) throw new Error("Closed twice.");
        open = false;
        this.story.push(`logout ${i}`);
        return Promise.resolve();
      },
    };
  }

  async reveal(_token: TokenInfo, askPin: AskPin): Promise<void> {
    await this.#checkPin(askPin("login"));
    this.story.push("reveal");
    this.hides = false;
  }

  async changePin(_token: TokenInfo, pins: [Uint8Array, Uint8Array] | null): Promise<void> {
    await this.#checkPin(Promise.resolve(pins![0]));
    this.story.push(`PIN ${new TextDecoder().decode(pins![1])}`);
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** As if a token was inserted or removed. */
  change(): void {
    this.#watchers.forEach((changed) => changed());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #checkPin(asked: Promise<Uint8Array>): Promise<void> {
    const bytes = await asked;
    const isRight = new TextDecoder().decode(bytes) === PIN;
    bytes.fill(0);
    if (this.triesLeft === 0) throw new SignerError("pin_locked", "The PIN is locked.");
    if (isRight) return;
    if (this.triesLeft !== null) this.triesLeft--;
    const triesLeft = ([null, 0, 1, 2] as (number | null)[]).indexOf(this.triesLeft);
    throw new SignerError("pin_incorrect", "The PIN is wrong.", {
      triesLeft: (["unknown", "none", "final", "low"] as const)[triesLeft] ?? "many",
    });
  }

  #algorithm(i: number, hash: HashName): SignatureAlgorithm {
    const { algorithm } = this.officers[i].key;
    return isMlDsa(algorithm.scheme) ? algorithm : { ...algorithm, hash };
  }
}
