/** Findings about what was not looked at, the same for every format. */
import type { Finding } from "./report.ts";
import { finding } from "./signature.ts";

/** Of the names that a stranger chose, enough to see what they are. */
const MAX_NAMES = 10;
const MAX_NAME = 120;

function listed(names: readonly string[]): string {
  return [...new Set(names)].slice(0, MAX_NAMES).map((name) => name.slice(0, MAX_NAME)).join(", ");
}

/** Nothing is known of what it would have said. */
export function unsupportedFinding(what: readonly string[]): Finding {
  const names = listed(what) || "the signature algorithm";
  return finding("algorithm_unsupported", `Not checked, as it is not supported: ${names}.`);
}

/** Parts that anybody could have added. */
export function ignoredFinding(names: readonly string[]): Finding {
  const message = `Not covered by the signature, and left out of account: ${listed(names)}.`;
  return finding("unsigned_ignored", message);
}

/** Signed statements on which no check depends. */
export function unreadFinding(names: readonly string[]): Finding {
  return finding("not_checked", `Signed, but not checked: ${listed(names)}.`);
}
