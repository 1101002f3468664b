/** The key files that the person added to D-Sign. An agent without any does not load what reads them, and stays small. */
import type { KeyInfo, Listing, OpenOptions, Provider, TokenInfo } from "./provider.ts";
import type { KeyFileReader, Pkcs12Provider } from "./pkcs12.ts";
import type { Signer } from "../formats/signer.ts";
import { Polling } from "./polling.ts";

/** The names of the key files in a folder, sorted; none if it does not exist. */
export async function namesOfKeyFiles(folder: string): Promise<string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return names.filter((name) => /\.(p12|pfx)$/i.test(name)).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

export class KeyFolder implements Provider {
  #loaded: Promise<Pkcs12Provider> | undefined;
  readonly #polling = new Polling();

  constructor(readonly folder: string, readonly reader: KeyFileReader) {}

  async list(signal?: AbortSignal): Promise<Listing> {
    if (!this.#loaded && (await namesOfKeyFiles(this.folder)).length === 0) {
      return { tokens: [], keys: [], problems: [] };
    }
    return await (await this.#load()).list(signal);
  }

  async open(key: KeyInfo, options: OpenOptions): Promise<Signer> {
    return await (await this.#load()).open(key, options);
  }

  async reveal(
    token: TokenInfo,
    askPin: OpenOptions["askPin"],
    signal?: AbortSignal,
  ): Promise<void> {
    await (await this.#load()).reveal(token, askPin, signal);
  }

  watch(changed: () => void): () => void {
    const names = async () => (await namesOfKeyFiles(this.folder).catch(() => [])).join("\n");
    return this.#polling.watch(names, changed);
  }

  async close(): Promise<void> {
    this.#polling.close();
    await (await this.#loaded)?.close();
  }

  #load(): Promise<Pkcs12Provider> {
    return this.#loaded ??= import("./pkcs12.ts").then(({ Pkcs12Provider }) =>
      new Pkcs12Provider([this.folder], this.reader)
    );
  }
}
