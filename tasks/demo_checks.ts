/** What the sample portal's server checks: the bill by OpenSSL, and the rest by `dsign verify`. */
import { canonicalJson } from "../formats/json/canonical.ts";
import { BILL } from "../web/portal/bill.ts";
import { check, checkByDsign } from "./demo_check.ts";
import type { Checks } from "./demo_portal.ts";

/**
 * @param root PEM file of the one trusted root
 * @param folder for files of the programs; private
 * @param trial whether the root is a trial agent's
 */
export function portalChecks(root: string, folder: string, trial = false): Checks {
  /** The server's own record. */
  const bill = canonicalJson(JSON.stringify(BILL));
  const inFolder = async (work: (folder: string) => Promise<string>) => {
    const own = await Deno.makeTempDir({ dir: folder });
    try {
      return await work(own);
    } finally {
      await Deno.remove(own, { recursive: true });
    }
  };
  const byDsign = (signed: Uint8Array, content?: Uint8Array) =>
    inFolder((folder) => checkByDsign(signed, { content, root, folder, trial }));
  return {
    bill: (signature) => inFolder((folder) => check({ signature, content: bill, root, folder })),
    order: (signed) => byDsign(signed),
    route: (signed) => byDsign(signed, bill),
    file: (signature, file) => byDsign(signature, file),
  };
}
