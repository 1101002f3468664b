/**
 * Signing, from the request to the released signature: a file for each kind of signature has what the person is shown,
 * and what the key makes; key_access.ts has the way to the key. The command line and the WebSocket's methods both come
 * through here.
 */
import type { PinRequest } from "../protocol/consent.ts";
import { authenticate } from "./authenticate.ts";
import type { Consent } from "./consent/port.ts";
import { KeyAccess } from "./key_access.ts";
import { startBatch } from "./sign_batch.ts";
import { signContainer } from "./sign_container.ts";
import { signData } from "./sign_data.ts";
import { signDocument, signPdf } from "./sign_document.ts";
import { signHash } from "./sign_hash.ts";
import { createRoute, signRoute } from "./sign_route.ts";
import type { SigningContext, SigningServices } from "./signing_context.ts";
import type { Place } from "./token_pin.ts";
import type { Credential, Tokens } from "./tokens.ts";
import type { Caller } from "./unlock.ts";

export type { Caller } from "./unlock.ts";

/** Parameters of a function after the first, which is where it signs. */
type Rest<F> = F extends (signing: SigningContext, ...rest: infer R) => unknown ? R : never;

/** Everything that ends in a signature, or asks the person something else. */
export class Signing implements SigningContext {
  readonly keys: KeyAccess;

  /** @param keepLogin milliseconds for which a token stays unlocked after a PIN; 0: only for the request */
  constructor(
    readonly tokens: Tokens,
    readonly consent: Consent,
    keepLogin: number,
    readonly services: SigningServices,
  ) {
    this.keys = new KeyAccess(tokens, consent, keepLogin, services);
  }

  /** Ends the logins, once what has been given up is over and written down. */
  async close(): Promise<void> {
    await this.keys.close();
    await this.services.placement.close();
  }

  /** Asks something else than for a signature, in turn with the signatures. */
  ask<T>(caller: Caller, question: () => Promise<T>): Promise<T> {
    return this.keys.ask(caller, question);
  }

  /** Asks for a token's PIN for something else than a signature. */
  tokenPin(place: Place, purpose: PinRequest["purpose"], caller: Caller): Promise<void> {
    return this.keys.tokenPin(place, purpose, caller);
  }

  /** Lets the person choose a usable certificate. */
  choose(caller: Caller): Promise<Credential> {
    return this.keys.choose(caller);
  }

  /** Signs data that came with the request. */
  signData(...rest: Rest<typeof signData>) {
    return signData(this, ...rest);
  }

  /** Signs all files of a container (ASiC), new or with signatures of others. */
  signContainer(...rest: Rest<typeof signContainer>) {
    return signContainer(this, ...rest);
  }

  /** Detached CAdES over a document of any kind. */
  signDocument(...rest: Rest<typeof signDocument>) {
    return signDocument(this, ...rest);
  }

  /** PAdES: a signature within a PDF. */
  signPdf(...rest: Rest<typeof signPdf>) {
    return signPdf(this, ...rest);
  }

  /** Signs digests alone. */
  signHash(...rest: Rest<typeof signHash>) {
    return signHash(this, ...rest);
  }

  /** Asks for consent to a whole list, and opens the key for the documents that will come. */
  startBatch(...rest: Rest<typeof startBatch>) {
    return startBatch(this, ...rest);
  }

  /** Sets a signing route up. */
  createRoute(...rest: Rest<typeof createRoute>) {
    return createRoute(this, ...rest);
  }

  /** Signs on a route. */
  signRoute(...rest: Rest<typeof signRoute>) {
    return signRoute(this, ...rest);
  }

  /** Signs in to the asker's site. */
  authenticate(...rest: Rest<typeof authenticate>) {
    return authenticate(this, ...rest);
  }
}
