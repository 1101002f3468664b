/** English: failures that the page's SDK finds itself. The others come from the signer program with their sentences. */
export const en = {
  not_installed: "D-Sign does not answer on this computer. Start it, or install it first.",
  cannot_tell:
    "D-Sign does not answer on this computer. Start it, or install it first. If it runs, run `dsign trust install` on this computer, then restart the browser, or use another browser.",
  blocked_by_browser: "The browser keeps this page from reaching D-Sign.",
  insecure_page:
    "The browser keeps this page from reaching D-Sign. Open the page by its https address.",
  frame:
    'The browser keeps this page from reaching D-Sign. It is in a frame that lacks allow="loopback-network": tell the site.',
  no_window: "The browser did not open the window. Allow it to.",
  page_refused: "D-Sign does not talk to pages of this kind.",
  permission_denied:
    "The browser was told not to let this site reach programs on this computer. Allow it in the site's settings, next to the address.",
  certificate_untrusted:
    "The browser does not trust D-Sign's certificate. Run `dsign trust install` on this computer, then restart the browser.",
  outdated: "D-Sign on this computer is too old for this page. Install the newest version.",
  page_outdated: "This page is too old for the D-Sign on this computer. The site must be updated.",
  agent_changed:
    "The D-Sign on this computer is not the one that this site knows. If the computer is new or D-Sign was reinstalled, confirm it; otherwise ask your help desk.",
  agent_unproven:
    "A program on this computer answers in D-Sign's place and cannot prove that it is D-Sign. Close it, or ask your help desk. `dsign doctor` names it.",
  no_grant: "You have not allowed this site to use D-Sign yet.",
  connection_lost: "The connection to D-Sign was lost. Check that it is running.",
  window_closed: "The window was closed.",
  request_cancelled: "This page cancelled the request.",
};

export type ClientWords = Record<keyof typeof en, string>;

/** Further failures of the signer program that a person meets; in English they come from it. */
export type FurtherWords = Record<
  | "origin_not_allowed"
  | "scope_not_granted"
  | "user_cancelled"
  | "consent_mismatch"
  | "consent_timeout"
  | "consent_unavailable"
  | "pin_final_try"
  | "too_large"
  | "busy"
  | "signature_mismatch"
  | "storage_failed",
  string
>;
