/** Whether browsers trust the certificate by which the agent answers wss. */
import { join } from "node:path";
import { authorityPath } from "../../agent/tls.ts";
import { readAuthority, type Run, run, type TrustStore, trustStores } from "../../agent/trust.ts";
import type { Situation } from "./machine.ts";
import { type Finding, ok, skipped } from "./tickets.ts";

/** Looks into the stores of the browsers that are used here; there may be no certificate, which is no trouble. */
export async function checkLocalCertificate(
  { machine, paths }: Situation,
  command: Run = run,
): Promise<Finding[]> {
  const path = authorityPath(paths.tls);
  const home = machine.env("HOME") ?? machine.env("USERPROFILE");
  const isMade = await Deno.stat(path).then(() => true, () => false);
  // On Linux all that is asked is asked of NSS' certutil.
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
    // Pages that connect by ws, as most do, need no certificate.
    status: "warning",
    values: { stores: stores.join(", ") },
  }];
}

/** Browsers on Linux do not look into the system's store; a database that is not there is no browser's. */
async function isUsed({ name, administrator }: TrustStore): Promise<boolean> {
  if (administrator) return false;
  const folder = /\((\/.*)\)$/.exec(name)?.[1];
  return !folder || await Deno.stat(join(folder, "cert9.db")).then(() => true, () => false);
}
