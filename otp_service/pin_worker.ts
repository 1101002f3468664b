/** Argon2id in a thread of its own, so that the service answers everything else while a PIN is looked at. */
import setUp from "argon2id/lib/setup.js";
import plain from "argon2id/dist/no-simd.wasm" with { type: "bytes" };
import simd from "argon2id/dist/simd.wasm" with { type: "bytes" };

/** 19 MiB, two passes, one lane: OWASP's first choice; about 50 ms. */
const PARAMETERS = { memorySize: 19 * 1024, passes: 2, parallelism: 1 } as const;

/** One is asked for after another ({@linkcode Pins}): all use the same 19 MiB. */
export interface HashRequest {
  password: Uint8Array;
  salt: Uint8Array;
  /** Bytes. */
  tagLength: number;
}

const thread = self as unknown as {
  onmessage: (event: MessageEvent<HashRequest>) => Promise<void>;
  postMessage(hash: Uint8Array): void;
};

const loader = (code: Uint8Array<ArrayBuffer>) => (imports: WebAssembly.Imports) =>
  WebAssembly.instantiate(code, imports);
const argon2id = setUp(loader(simd), loader(plain));

thread.onmessage = async ({ data }) =>
  thread.postMessage((await argon2id)({ ...PARAMETERS, ...data }));
