/** Whether browsers trust the agent's wss:// certificate. */
import { join } from "node:path";
import { authorityPath } from "../../agent/tls.ts";
import { readAuthority, type Run, run, type TrustStore, trustStores } from "../../agent/trust.ts";
import type { Situation } from "./machine.ts";
import { type Finding, ok, skipped } from "./tickets.ts";

/** Checks the trust stores of the browsers in use. A missing certificate is not a problem. */
export async function checkLocalCertificate(
  { machine, paths }: Situation,
  command: Run = run,
): Promise<Finding[]> {
  const path = authorityPath(paths.tls);
  const home = machine.env("HOME") ?? machine.env("USERPROFILE");
  const isMade = await Deno.stat(path).then(() => true, () => false);
  // On Linux the answers come from NSS' certutil.
  const canAsk = machine.os !== "linux" || (await command(["certutil", "-H"])).code !== null;
  if (!home || !isMade || !canAsk) return [skipped("local_certificate_untrusted")];
  const authority = await readAuthority(path);
  const used: TrustStore[] = [];
  for (const store of await trustStores(home, command, machine.os)) {
    if (await isUsed(store)) used.push(store);
  }
  if (used.length === 0) return [skipped("local_certificate_untrusted")];
  const trusts = await Promise.all(used.map((store) => store.has(authority)));
  const stores = used.filter((_, i) => !trusts[i]).map(({ name }) => name);
  if (stores.length === 0) return [ok("local_certificate_untrusted")];
  return [{
    id: "local_certificate_untrusted",
    // Most pages connect by ws:// and need no certificate.
    status: "warning",
    values: { stores: stores.join(", ") },
  }];
}

/** Browsers on Linux ignore the system's store; a missing database belongs to no browser in use. */
async function isUsed({ name, administrator }: TrustStore): Promise<boolean> {
  if (administrator) return false;
  const folder = /\((\/.*)\)$/.exec(name)?.[1];
  return !folder || await Deno.stat(join(folder, "cert9.db")).then(() => true, () => false);
}
