/** The problems that the doctor looks for: one ticket for each problem known from the field. */

/** In the order in which to solve them: each may be caused by one above it. */
export const TICKETS = [
  "policy_refused",
  "configuration_wrong",
  "profile_not_writable",
  "disk_full",
  "clock_wrong",
  "driver_missing",
  "driver_path_wrong",
  "driver_wrong_architecture",
  "driver_service_missing",
  "driver_broken",
  "key_file_broken",
  "token_not_forwarded",
  "provider_broken",
  "token_missing",
  "token_not_initialised",
  "pin_not_set",
  "pin_locked",
  "pin_last_try",
  "pin_few_tries",
  "pin_default",
  "certificate_hidden",
  "certificate_unreadable",
  "certificate_missing",
  "certificate_encryption_only",
  "certificate_not_yet_valid",
  "certificate_expired",
  "chain_incomplete",
  "port_taken",
  "port_earlier_taken",
  "loopback_missing",
  "loopback_blocked",
  "proxy_in_the_way",
  "agent_not_running",
  "agent_outdated",
  "autostart_elsewhere",
  "local_certificate_untrusted",
  "browser_policy_missing",
  "browser_sandboxed",
  "local_network_access_denied",
] as const;

export type Ticket = typeof TICKETS[number];

/** `skipped`: not checked, or nothing to check. */
export type CheckStatus = "ok" | "warning" | "error" | "skipped";

/** The result of looking for one problem. A ticket may have several: one for each token, driver, … */
export interface Finding {
  id: Ticket;
  status: CheckStatus;
  /** Values for the placeholders in the ticket's sentences. Technical text (paths, errors) is not translated. */
  values?: Record<string, string | number>;
  /** Fixes the problem; only set if that is safe. */
  fix?: () => Promise<void>;
}

export const ok = (id: Ticket): Finding => ({ id, status: "ok" });
export const skipped = (id: Ticket): Finding => ({ id, status: "skipped" });

/** The findings of one ticket, or `ok` if there are none. */
export function orOk(id: Ticket, findings: readonly Finding[]): Finding[] {
  return findings.length > 0 ? [...findings] : [ok(id)];
}
