/** Whose turn it is on a signing route (route.ts): decided from facts, with nothing left to parse but names. */
import * as z from "zod";
import { digest } from "../digest.ts";
import type { Certificate } from "../x509/certificate.ts";

export const hex = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * A name as a reader sees it: characters that nobody sees make no other name. Only for comparing; joiners that Indic
 * scripts need stay in the name itself.
 */
const seenName = (name: string): string =>
  name.normalize("NFKC").replaceAll(UNSEEN, "").replaceAll(/\s+/gu, " ").trim();

/** Control, format and other ignorable characters, and signs that are blank. */
const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}\u{13441}\u{13442}]/gu;

/** A permitted signer, by certificate, or by person whatever the current certificate. */
const RouteSigner = z.strictObject({
  /** As shown to people; decides nothing. */
  name: z.string().max(200).refine((name) => seenName(name) !== "", {
    error: "a name has characters that can be seen",
  }),
  /** SHA-256 of the certificate. */
  certificate: hex.optional(),
  /** The subject's serialNumber, in India's certificates the SHA-256 of the PAN. */
  person: z.string().min(1).max(200).optional(),
}).refine(({ certificate, person }) => (certificate === undefined) !== (person === undefined), {
  error: "a signer is named by certificate or by person",
});
type RouteSigner = z.infer<typeof RouteSigner>;

const samePersonAs = (value: string) => seenName(value).toLowerCase();
/** By what a signer's certificate is known. */
const identityOf = ({ certificate, person }: RouteSigner) =>
  certificate ?? samePersonAs(person ?? "");

const RouteStep = z.strictObject({
  role: z.string().min(1).max(100),
  signers: z.array(RouteSigner).min(1).max(50),
  /** How many of them must sign. */
  quorum: z.int().min(1),
}).refine(({ quorum, signers }) => quorum <= signers.length, {
  error: "a quorum is at most the number of signers",
}).refine(({ signers }) => {
  const isDistinct = (keys: string[]) => new Set(keys).size === keys.length;
  return isDistinct(signers.map(({ name }) => seenName(name))) &&
    isDistinct(signers.map(identityOf));
}, { error: "nobody may stand twice in one step" });

export const RouteSchema = z.strictObject({
  type: z.literal("dsign-route-1"),
  /** SHA-256 of the signed content's bytes (JSON in canonical form). */
  content: z.strictObject({ name: z.string().min(1).max(255), sha256: hex }),
  steps: z.array(RouteStep).min(1).max(50),
}).refine(({ steps }) => {
  const names = new Map<string, string>();
  return steps.flatMap(({ signers }) => signers).every((signer) => {
    const name = seenName(signer.name);
    return names.getOrInsert(identityOf(signer), name) === name;
  });
}, { error: "nobody may stand under two names" });
export type Route = z.infer<typeof RouteSchema>;
export type RouteStep = z.infer<typeof RouteStep>;

export function isSigner(signer: RouteSigner, certificate: Certificate): boolean {
  return identityOf(signer) ===
    (signer.certificate ? certificate.fingerprint : personOf(certificate));
}

function personOf(certificate: Certificate): string | undefined {
  const serialNumber = certificate.subject.text("serialNumber");
  return serialNumber && samePersonAs(serialNumber);
}

/** Identifies a person across certificates. */
export interface Who {
  /** SHA-256 of the public key. */
  key: string;
  person: string | undefined;
  subject: string;
}

export const whoIs = (certificate: Certificate): Who => ({
  key: digest("SHA-256", certificate.publicKey.bytes).toHex(),
  person: personOf(certificate),
  subject: certificate.subject.toString(),
});

/** The same key, or the same person named in them. */
const isOnePerson = (a: Who, b: Who): boolean =>
  a.key === b.key ||
  (a.person !== undefined && b.person !== undefined
    ? a.person === b.person
    : a.subject === b.subject);

/** The facts that decide whose turn it is; plain values. */
export interface RouteTurn {
  route: Route;
  statements: { /** The signer's entry in the route. */ name: string; who: Who }[];
  /** Steps with the names of those who have signed and of those who still may. */
  steps: { role: string; quorum: number; signed: string[]; open: string[]; isDone: boolean }[];
  /** The step whose turn it is; null when the route is complete. */
  next: number | null;
}

/**
 * The certificate's place in the step whose turn it is; undefined where it has none. However many certificates a person
 * has, they sign once in a step, and under one name on the whole route.
 */
export function takeTurn(
  { route, next, steps, statements }: RouteTurn,
  certificate: Certificate,
): { role: string; name: string } | undefined {
  if (next === null) return undefined;
  const { role, signers } = route.steps[next];
  const signer = signers.find((each) =>
    isSigner(each, certificate) && steps[next].open.includes(each.name)
  );
  if (!signer) return undefined;
  const who = whoIs(certificate);
  const before = statements.filter((each) => isOnePerson(each.who, who));
  const inThisStep = statements.slice(statements.length - steps[next].signed.length);
  const isNew = !before.some((each) => inThisStep.includes(each)) &&
    before.every(({ name }) => seenName(name) === seenName(signer.name));
  return isNew ? { role, name: signer.name } : undefined;
}

/** Whether it is the certificate holder's turn. */
export const isTurnOf = (status: RouteTurn, certificate: Certificate): boolean =>
  takeTurn(status, certificate) !== undefined;

/** A sentence for the signer whose turn it is not. */
export function whoIsNext({ steps, next }: Pick<RouteTurn, "steps" | "next">): string {
  if (next === null) return "The signing route is complete; nobody has to sign any more.";
  const { role, open, quorum, signed } = steps[next];
  const missing = quorum - signed.length;
  const who = open.length === missing ? open.join(" and ") : `${missing} of ${open.join(", ")}`;
  return `It is not this certificate's turn. Next to sign, as ${role}: ${who}.`;
}
