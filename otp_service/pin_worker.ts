/** Argon2id in a thread of its own, so that the service answers everything else while a PIN is looked at. */
import { argon2id } from "hash-wasm";

/** 19 MiB, two passes, one lane: OWASP's first choice; about 80 ms. */
const PARAMETERS = { memorySize: 19 * 1024, iterations: 2, parallelism: 1 } as const;

/** One is asked for after another ({@linkcode Pins}): each takes 19 MiB. */
export interface HashRequest {
  password: Uint8Array;
  salt: Uint8Array;
  /** Bytes. */
  hashLength: number;
}

const thread = self as unknown as {
  onmessage: (event: MessageEvent<HashRequest>) => Promise<void>;
  postMessage(hash: Uint8Array): void;
};

thread.onmessage = async ({ data }) =>
  thread.postMessage(await argon2id({ ...PARAMETERS, ...data, outputType: "binary" }));
