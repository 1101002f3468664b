/** The trial agent's tokens: in memory, one an officer. */
import type { Signer } from "../formats/signer.ts";
import {
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Provider,
  SignerError,
  type TokenInfo,
} from "../signers/provider.ts";
import { softwareKey } from "../signers/software_key.ts";
import type { TrialOfficer } from "./pki.ts";

/** The PIN of every trial token. */
export const TRIAL_PIN = "2468";

/** Of the token of an officer, counted from 1. */
export const serialOf = (officer: number) => `TRIAL${officer}`;

export class TrialTokens implements Provider {
  readonly #watchers = new Set<() => void>();
  readonly #tokens: readonly TokenInfo[];
  #inserted: ReadonlySet<number>;
  /** The next signature finds its token gone. */
  removedNext = false;

  constructor(readonly officers: readonly TrialOfficer[]) {
    this.#tokens = officers.map(({ name }, i) => ({
      uri: `pkcs11:token=TRIAL%20${i + 1};serial=${serialOf(i + 1)}`,
      label: `TRIAL ${name.split(" ")[0]}`,
      manufacturer: "D-Sign",
      model: "TRIAL",
      serialNumber: serialOf(i + 1),
      driver: "trial",
      state: "ready",
      protectedAuthenticationPath: false,
    }));
    this.#inserted = new Set(officers.keys());
  }

  /** Only these tokens are inserted now; counted from 1. */
  insert(numbers: readonly number[]): void {
    this.#inserted = new Set(numbers.map((each) => each - 1));
    for (const changed of this.#watchers) changed();
  }

  list(): Promise<Listing> {
    const present = this.#tokens.map((token, i) => ({ token, i }))
      .filter(({ i }) => this.#inserted.has(i));
    const keys = present.map(({ token, i }): KeyInfo => ({
      uri: `${token.uri};id=%01`,
      token,
      certificate: this.officers[i].certificate,
      chain: this.officers[i].chain,
      hasKey: true,
    }));
    const tokens = present.map(({ token }) => token);
    return Promise.resolve({ tokens, keys, problems: [], works: true });
  }

  async open({ token, certificate, chain }: KeyInfo, options: OpenOptions): Promise<Signer> {
    const i = this.#tokens.findIndex(({ uri }) => uri === token.uri);
    if (!this.#inserted.has(i)) throw gone();
    const pin = await options.askPin("login");
    const isRight = new TextDecoder().decode(pin) === TRIAL_PIN;
    pin.fill(0);
    if (!isRight) {
      throw new SignerError("pin_incorrect", "The PIN is wrong.", { triesLeft: "many" });
    }
    const key = await softwareKey(this.officers[i].key);
    const algorithm = { scheme: "ECDSA", hash: options.hash } as const;
    return {
      certificate,
      chain,
      algorithm,
      sign: (input) => {
        const isGone = this.removedNext || !this.#inserted.has(i);
        this.removedNext = false;
        return isGone ? Promise.reject(gone()) : Promise.resolve(key.sign(algorithm, input));
      },
      close: () => Promise.resolve(key.wipe()),
    };
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const gone = () => new SignerError("token_removed", "The token is no longer there.");
