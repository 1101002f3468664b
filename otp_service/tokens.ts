/** Access and refresh tokens, and codes: bound to a client and a person, used once, ended with what they stand on. */
import type { CscErrorCode } from "../protocol/csc.ts";
import type { Ceremony } from "./ceremony.ts";
import { CscError } from "./error.ts";
import type { People } from "./people.ts";
import type { AuthorizationRow, Holder, TokenOf } from "./rows.ts";
import { sameText, sha256, token } from "./secrets.ts";
import { type Client, isKnown, LIFETIME, personClient, type Service } from "./service.ts";
import type { Store, Tx } from "./store.ts";
import type { Tickets } from "./tickets.ts";

/** Rights of a token: a client's own, or a person's. */
interface Whose {
  client: string;
  holder?: Holder;
}

interface Tokens {
  access_token: string;
  refresh_token?: string;
  expires_in: number;
}

/** An access token, and to be remembered a refresh token; both are revoked with their family. */
export async function giveTokens(
  tx: Tx,
  whose: Whose,
  family: string,
  remember: boolean,
): Promise<Tokens> {
  return {
    access_token: await tx.issue({ kind: "access", ...whose }, LIFETIME.access, family),
    ...remember && {
      refresh_token: await tx.issue({ kind: "refresh", ...whose }, LIFETIME.refresh, family),
    },
    expires_in: LIFETIME.access / 1000,
  };
}

/**
 * New tokens for a refresh token, which is used up (RFC 9700 §4.14.2): whoever brings it once more ends all of its family.
 *
 * @param client that showed its secret, if one did; without it only a person's own token is good (RFC 6749 §6)
 * @param refused the error for a token that is not good
 */
export async function refresh(
  service: Service,
  value: string,
  client: Client | null,
  refused: CscErrorCode,
): Promise<Tokens> {
  const result = await service.store.run(async (tx): Promise<Tokens | CscError> => {
    const found = await tx.read("refresh", value);
    if (!found) {
      await endSpent(tx, service.ceremony, value, client?.id);
      return new CscError(refused);
    }
    const { client: id, holder } = found.data;
    const own = holder !== undefined && id === personClient(holder.person);
    if (!own && !client) return new CscError("client_secret_missing");
    if ((!own && client!.id !== id) || !isKnown(service, found.data)) return new CscError(refused);
    if (holder && !await service.people.usable(tx, holder)) return new CscError(refused);
    const family = found.family!;
    await tx.take("refresh", value);
    await tx.issue({ kind: "spent", client: id, family }, LIFETIME.refresh, null, value);
    return await giveTokens(tx, { client: id, ...holder && { holder } }, family, true);
  });
  if (result instanceof CscError) throw result;
  return result;
}

/** Something that may be used once was used again: it is in wrong hands, and what it gave ends. */
async function endSpent(
  tx: Tx,
  ceremony: Ceremony,
  value: string,
  client: string | undefined,
): Promise<void> {
  const spent = await tx.read("spent", value);
  // a person's own has no client that could show a secret
  if (!spent || (client !== undefined && spent.data.client !== client)) return;
  const { family, transaction: id } = spent.data;
  await tx.revoke({ family });
  if (id !== undefined) await ceremony.endIn(tx, { id }, "revoked");
  tx.audit({ event: "token.used_again", client: spent.data.client, transaction: id });
}

/** Purpose of a code. */
export type Ticket = Pick<TokenOf<"ticket">, "client" | "redirect" | "challenge">;

/**
 * Takes a ticket, and gives the code with which the portal's server fetches what the person has authorized.
 *
 * @returns null where the ticket was taken before
 */
export async function giveCode(
  tx: Tx,
  tickets: Tickets,
  value: string,
  { client, redirect, challenge }: Ticket,
  given: { holder: Holder; transaction?: string; sad?: string },
): Promise<string | null> {
  if (!await tickets.take(tx, value)) return null;
  return await tx.issue({ kind: "code", client, redirect, challenge, ...given }, LIFETIME.code);
}

/** Result of redeeming a code. */
export interface Redeemed extends Tokens {
  /** Of a code for an authorization. */
  authorized?: AuthorizationRow;
}

/**
 * Takes a code, once: whoever brings it again ends what it gave (RFC 6749 §4.1.2).
 *
 * @throws {CscError} `code_invalid`, `redirect_uri_mismatch`
 */
export async function redeemCode(
  { store, ceremony, people }: { store: Store; ceremony: Ceremony; people: People },
  client: Client,
  { code, code_verifier, redirect_uri }: {
    code: string;
    code_verifier?: string;
    redirect_uri?: string;
  },
): Promise<Redeemed> {
  const result = await store.run(async (tx): Promise<Redeemed | CscError> => {
    const found = await tx.take("code", code);
    if (!found) {
      await endSpent(tx, ceremony, code, client.id);
      return new CscError("code_invalid");
    }
    const { data } = found;
    const { holder, transaction, sad } = data;
    const challenge = code_verifier === undefined ? "" : sha256(code_verifier);
    const whose = data.client === client.id && sameText(challenge, data.challenge);
    if (!whose || !await people.usable(tx, holder)) {
      // the code is gone, and with it what it was for
      if (transaction !== undefined) await ceremony.endIn(tx, { id: transaction }, "revoked");
      return new CscError("code_invalid");
    }
    if (redirect_uri !== data.redirect) return new CscError("redirect_uri_mismatch");
    const family = token();
    await tx.issue(
      { kind: "spent", client: client.id, family, transaction },
      LIFETIME.spent,
      null,
      code,
    );
    if (transaction === undefined) {
      return await giveTokens(tx, { client: client.id, holder }, family, true);
    }
    // The access token is the SAD; what the code stood for has been in a browser, and is made new.
    const known = await tx.transaction({ id: transaction });
    if (!known) return new CscError("code_invalid");
    const { credential } = known.transaction;
    const presented = { sad: sad!, client: client.id, credential };
    const extended = await ceremony.extendIn(tx, presented, undefined);
    if (extended instanceof CscError) return extended;
    const { SAD, expiresIn } = extended;
    await tx.issue(
      { kind: "access", client: client.id, holder, transaction },
      expiresIn * 1000,
      family,
      SAD,
    );
    return {
      access_token: SAD,
      expires_in: expiresIn,
      authorized: known,
    };
  });
  if (result instanceof CscError) throw result;
  return result;
}

/**
 * Revokes a token of this client: of a refresh token, all access tokens too (CSC API v2.0 §8.4.5). Others' are left alone. One
 * that is a SAD takes its authorization with it: it could be presented beside another token.
 */
export async function revoke(
  { store, ceremony }: Pick<Service, "store" | "ceremony">,
  value: string,
  client: string,
): Promise<void> {
  await store.run(async (tx) => {
    const refresh = await tx.read("refresh", value);
    if (refresh?.data.client === client) await tx.revoke({ family: refresh.family! });
    const found = await tx.read("access", value);
    if (found?.data.client !== client) return;
    await tx.revoke({ value });
    const { transaction: id } = found.data;
    if (id !== undefined) await ceremony.endIn(tx, { id }, "revoked");
  });
}
