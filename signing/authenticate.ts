/** Logging in to a site by a signature. */
import { digest } from "../formats/digest.ts";
import {
  mayAuthenticate,
  webEidHash,
  webEidMessage,
  webEidToken,
} from "../formats/json/web_eid.ts";
import { DsignError } from "../protocol/errors.ts";
import type { ParsedParams, Result } from "../protocol/methods.ts";
import { noLogin } from "./post_quantum.ts";
import { sign } from "./signature.ts";
import type { SigningContext } from "./signing_context.ts";
import type { Caller, Wanted } from "./unlock.ts";

/**
 * Signs in to the asker's site: a Web eID token over the site's origin, as the browser attests it, and the nonce.
 *
 * @param appVersion URI of this program
 */
export async function authenticate(
  signing: SigningContext,
  { nonce, certificate, anyPurpose }: ParsedParams<"auth.authenticate">,
  caller: Caller,
  appVersion: string,
): Promise<Result<"auth.authenticate">> {
  const { origin } = caller.asker;
  if (origin === null) throw new Error("Only a site can be signed in to.");
  const shown = webEidMessage(origin, nonce, "SHA-256");
  const item = {
    name: "",
    mediaType: "",
    size: null,
    hash: { algorithm: "SHA-256", hex: digest("SHA-256", shown).toHex() },
    preview: null,
  };
  const now = signing.tokens.now();
  const wanted: Wanted = {
    certificate,
    hash: webEidHash,
    format: "web-eid:1.0",
    items: [item],
    blind: false,
    login: true,
    accepts: (der) =>
      anyPurpose || mayAuthenticate(der, now)
        ? noLogin(der)
        : new DsignError("certificate_not_for_login"),
  };
  return await signing.keys.use(wanted, caller, async (lease) => {
    const { certificate, algorithm } = lease.signer;
    const message = webEidMessage(origin, nonce, algorithm.hash);
    const signature = await sign(lease, { message }, caller.signal);
    return webEidToken(certificate, algorithm, signature, appVersion);
  });
}
