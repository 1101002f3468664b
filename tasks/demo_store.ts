/** The demonstration's tokens as the agent's provider. */
import { hostCommand } from "../cli/host_command.ts";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import { Pkcs11Provider } from "../signers/pkcs11.ts";
import { type KeyFileReader, Pkcs12Provider } from "../signers/pkcs12.ts";
import type { Provider } from "../signers/provider.ts";

/** The tokens, for the agent's providers. */
export type TokenStore =
  | { provider: "pkcs11:softhsm2"; library: string; env: { SOFTHSM2_CONF: string } }
  | { provider: "pkcs12"; folder: string };

/** `close` ends the provider and its driver process, if any. */
export function openStore(store: TokenStore, reader: KeyFileReader): Provider {
  if (store.provider === "pkcs12") return new Pkcs12Provider([store.folder], reader);
  const client = new Pkcs11Client({
    modulePath: store.library,
    command: hostCommand(new URL("../main.ts", import.meta.url).href),
    env: store.env,
  });
  return new Pkcs11Provider([{ name: "SoftHSM", client }]);
}
