/** View of a ticket on the service's page. */
import { shownAs } from "../formats/shown.ts";
import type { OtpDocument, OtpView, OtpWay } from "../protocol/csc.ts";
import { hashByOid } from "./algorithms.ts";
import { RULES, type Transaction } from "./authorize.ts";
import { type ConsentFacts, consentText } from "./consent.ts";
import { hashPrefix } from "./delivery.ts";
import { wayTo } from "./messages.ts";
import type { AuthorizationRow, Person, TokenOf } from "./rows.ts";
import { ENROL, isPublic, type Service } from "./service.ts";
import type { Tx } from "./store.ts";

/** Null where there is nothing to do with it (any more). */
export async function viewOf(service: Service, value: string): Promise<OtpView | null> {
  const { store, people, tickets, name } = service;
  if (value.startsWith(ENROL)) {
    const found = await people.enrolment(value.slice(ENROL.length));
    return found && { kind: "enrol", service: name, ...found };
  }
  return await store.read(async (tx) => {
    const ticket = await tickets.read(tx, value);
    if (ticket) return await signView(service, tx, ticket);
    const change = await tx.read("change", value);
    const found = change && await tx.transaction({ id: change.data.transaction });
    const row = found && await tx.person(found.person);
    if (!found || !row || found.transaction.phase !== "open") return null;
    return { kind: "change", ...asked(service, row.person, found.transaction, tx.now) };
  });
}

async function signView(
  service: Service,
  tx: Tx,
  ticket: TokenOf<"ticket">,
): Promise<OtpView | null> {
  const { language, name, clients, authority } = service;
  const known = clients.find(({ id }) => id === ticket.client);
  const client = known?.name ?? ticket.client;
  const anybody = known !== undefined && isPublic(known);
  // the portal's own front door: what it was asked for there is over; an app with a scheme has no other than this
  const { origin } = new URL(ticket.redirect);
  const portal = origin === "null" ? ticket.redirect : `${origin}/`;
  if (ticket.transaction === undefined) {
    const sign = ticket.request !== undefined;
    return { kind: "sign_in", language, service: name, client, anybody, portal, sign };
  }
  const found = await tx.transaction({ id: ticket.transaction });
  const row = found && await tx.person(found.person);
  const credential = found && await tx.credential(found.transaction.credential);
  if (!found || !row || !credential || found.transaction.phase !== "open") return null;
  const { transaction, facts } = found;
  const { person } = row;
  const consent = (language: Person["language"]) =>
    consentText(language, consentFacts(service, person, found));
  const documents: OtpDocument[] = [];
  for (const [index, hash] of transaction.binding!.hashes.entries()) {
    documents.push({
      label: facts.labels[index],
      hash: Uint8Array.fromBase64(hash).toHex(),
      hashPrefix: hashPrefix(hash),
      shown: await shownOf(tx, ticket.client, transaction, hash),
    });
  }
  return {
    kind: "sign",
    ...asked(service, person, transaction, tx.now),
    client,
    anybody,
    portal,
    purpose: facts.purpose,
    hashAlgorithm: hashByOid(transaction.binding!.hashAlgorithm),
    documents,
    signer: {
      name: person.name,
      ...person.role && { role: person.role },
      organization: service.organization,
    },
    credential: { kind: credential.kind, policy: authority.policy },
    consent: { en: consent("en"), bn: consent("bn"), hi: consent("hi") },
  };
}

/** Only what was there when the authorization was opened: over all other digests bare signatures may be made. */
async function shownOf(
  tx: Tx,
  client: string,
  { shown = [] }: Transaction,
  hash: string,
): Promise<OtpDocument["shown"]> {
  const document = shown.includes(hash) ? await tx.document(client, hash) : null;
  if (!document) return undefined;
  const { name, bytes } = document;
  return { name, size: bytes.length, ...shownAs(bytes, bytes.length) };
}

/** OTP, tries and time on the page. */
function asked(service: Service, person: Person, transaction: Transaction, now: number) {
  const { sends, sentAt, attempts, createdAt } = transaction;
  const otp: OtpWay = {
    way: person.otp,
    digits: service.otpDigits,
    to: reached(service, person),
    sendsLeft: RULES.sends - sends,
    ...sentAt !== undefined && { resendAt: new Date(sentAt + RULES.resendAfter).toISOString() },
  };
  return {
    language: person.language,
    service: service.name,
    otp,
    triesLeft: RULES.tries - attempts,
    deadline: new Date(createdAt + RULES.lifetime).toISOString(),
    now: new Date(now).toISOString(),
  };
}

/** Enough of an address for its owner to know it, and for nobody else: `a•••@works.example`, `•••• 0001`. */
function reached({ ways }: Service, person: Person): string | undefined {
  if (person.otp === "totp") return undefined;
  const way = wayTo(ways, person) ?? person.otp;
  return way === "mail"
    ? person.email?.replace(/^(.)[^@]*/, "$1•••")
    : person.phone && `•••• ${person.phone.slice(-4)}`;
}

/** Declaration of consent. */
export function consentFacts(
  { organization }: Pick<Service, "organization">,
  { name }: Person,
  { transaction: { binding, shown = [] }, facts }: AuthorizationRow,
): ConsentFacts {
  const { hashes } = binding!;
  const blind = hashes.filter((hash) => !shown.includes(hash)).length;
  return { name, count: hashes.length, blind, purpose: facts.purpose, organization };
}
