/** The console's way to tokens' PINs: which it can ask for, and asking, in the agent's own window. */
import * as z from "zod";
import type { Asker } from "../protocol/consent.ts";
import type { PinTask, TokenPin } from "../protocol/console.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Signing } from "../signing/sign.ts";
import type { Tokens } from "../signing/tokens.ts";

/** The person, on one of the agent's own pages. */
export const OWN: Asker = { origin: null, own: true, trustedSince: null, purpose: null };

export const PinTaskRequest: z.ZodType<PinTask> = z.strictObject({
  uri: z.string(),
  driver: z.string(),
  purpose: z.enum(["certificates", "change"]),
});

export class ConsolePins {
  constructor(
    readonly tokens: Pick<Tokens, "list">,
    readonly signing: () => Promise<Pick<Signing, "tokenPin">>,
  ) {}

  async list(): Promise<TokenPin[]> {
    const { places } = await this.tokens.list();
    return places.map(({ token: { uri, driver, hidesCertificates, newPin } }) => ({
      uri,
      driver,
      hides: hidesCertificates === true,
      changes: newPin !== undefined,
    }));
  }

  /**
   * @throws {DsignError} `token_not_present`; why the person did not get to the end
   */
  async ask({ uri, driver, purpose }: PinTask, signal: AbortSignal): Promise<void> {
    const { places } = await this.tokens.list();
    const place = places.find(({ token }) => token.uri === uri && token.driver === driver);
    if (!place) throw new DsignError("token_not_present");
    await (await this.signing()).tokenPin(place, purpose, { asker: OWN, signal });
  }
}
