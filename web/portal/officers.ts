/** Messages to officers, and how the page knows them. */
import { type Client, DsignClientError } from "../client/index.ts";

/** What keeps the officer from signing, in a few words; the sentence says what to do. */
export function titleOf(error: unknown): string {
  switch (error instanceof DsignClientError ? error.code : "") {
    case "not_installed":
      return "D-Sign is not installed, or not running";
    case "cannot_tell":
      return "D-Sign cannot be reached";
    case "blocked_by_browser":
      return "The browser blocks D-Sign";
    case "permission_denied":
      return "The browser denies this site access to D-Sign";
    case "certificate_untrusted":
      return "The browser does not trust D-Sign";
    case "outdated":
      return "D-Sign is outdated";
    case "agent_changed":
      return "This is another D-Sign";
    case "user_cancelled":
      return "You declined";
  }
  return "Not connected";
}

/** Message to the officer about a failure: what happened, and what to do. */
export function explain(
  error: unknown,
  declined = "You did not sign. Nothing has changed. You can sign later.",
): string {
  if (!(error instanceof DsignClientError)) throw error;
  switch (error.code) {
    case "user_cancelled":
      return declined;
    case "consent_timeout":
      return "The D-Sign window was not answered in time. Press the button again when you are ready.";
    case "not_installed":
      return "D-Sign does not answer on this computer. Start it and press the button again, or install it.";
    case "connection_lost":
      return "D-Sign has stopped. Start it again, then connect again.";
    case "busy":
      return "D-Sign is waiting for another answer. Look for its window.";
  }
  return error.message;
}

/** The signer's name, as D-Sign reads it from the certificate; the token may be out again by now. */
export async function nameOf(client: Client, certificate: string): Promise<string> {
  const { certificates } = await client.call("certificate.list", {});
  return certificates.find((each) => each.certificate === certificate)?.commonName ??
    "an officer whose token is no longer in the computer";
}
