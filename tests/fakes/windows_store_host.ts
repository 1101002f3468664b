/** The child for keys of the Windows store, over a Windows in memory that the variable FAKE_WINDOWS describes. */
import { serve } from "../../pkcs11_ffi/serve.ts";
import { StoreHost } from "../../windows_ffi/host.ts";
import { fakeWindows, type Faults } from "./raw_windows.ts";

export interface FakeStore {
  /** DER in hex. */
  keys: { der: string; provider: string; container: string; type: number; keySpec?: number }[];
  /** By function, and there by container or provider (`*`: all): a status, or how the process fails. */
  faults?: Record<string, Record<string, number | "crash" | "hang">>;
  /** NCRYPT_IMPL_* of every provider. */
  implementation?: number;
}

/** Command and environment of such a child. */
export const fakeStoreChild = (store: FakeStore) => ({
  command: [
    ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only", "--allow-env"],
    new URL(import.meta.url).pathname,
  ],
  env: { FAKE_WINDOWS: JSON.stringify(store) },
});

function happen(fault: number | "crash" | "hang" = 0): number {
  if (fault === "crash") Deno.exit(3);
  if (fault === "hang") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  return Number(fault);
}

if (import.meta.main) {
  const store = JSON.parse(Deno.env.get("FAKE_WINDOWS")!) as FakeStore;
  const faults: Faults = Object.fromEntries(
    Object.entries(store.faults ?? {}).map(([name, by]) => [
      name,
      (asked: string) => happen(by[asked] ?? by["*"]),
    ]),
  );
  const keys = store.keys.map((key) => ({ ...key, der: Uint8Array.fromHex(key.der) }));
  serve(() => new StoreHost(fakeWindows(keys, faults, undefined, store.implementation)));
}
