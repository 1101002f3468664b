/** Requests as plain text, for the terminal and for pinentry. */
import type {
  Asker,
  Choice,
  ChooseRequest,
  ConsentItem,
  GrantRequest,
  PdfAdditions,
  PinState,
  ShownRevision,
  SignRequest,
} from "../../protocol/consent.ts";
import { DsignError } from "../../protocol/errors.ts";
import type { ShowPdf } from "./port.ts";
import type { Scope } from "../../protocol/methods.ts";

/** Bounds on what is shown of texts and lists; what is left out is said. */
export interface Bounds {
  previewLines: number;
  items: number;
}

const SCOPES: Record<Scope, string> = {
  certificates: "see your tokens and certificates",
  sign: "ask you for signatures on documents and data that are shown to you",
  sign_hash: "ask you for signatures on digests, whose content cannot be shown to you",
};

/**
 * Makes foreign text harmless: control characters (escape sequences of terminals), and those that change the direction
 * of writing or are invisible, are shown by their numbers.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}\u{13441}\u{13442}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

export function describeGrant({ asker, scopes, expiresAt }: GrantRequest): string {
  return [
    `${nameOf(asker)} wants to be allowed to`,
    ...scopes.map((scope) => `  - ${SCOPES[scope]}`),
    `until ${expiresAt.slice(0, 10)}.`,
    ...purposeOf(asker),
  ].join("\n");
}

export function describeChoose({ asker }: ChooseRequest): string {
  return [`${nameOf(asker)} wants you to choose a certificate.`, ...purposeOf(asker)].join("\n");
}

/** Where the room is small, the end is lost: what matters comes first, and what strangers chose to say last. */
export function describeSign(
  { asker, items, blind, login, batch, binding, also, network }: SignRequest,
  bounds: Bounds,
): string {
  if (login) {
    return [
      `${nameOf(asker)} asks you to sign in with your certificate.`,
      ...trustOf(asker),
      "No document is signed.",
    ].join("\n");
  }
  const count = items.length === 1 ? "a signature" : `${items.length} signatures`;
  const shown = items.slice(0, bounds.items);
  return [
    `${nameOf(asker)} asks for ${count}.`,
    ...trustOf(asker),
    ...(blind
      ? [
        "WARNING: only digests are known. What they stand for cannot be shown, and may be anything, even signing in elsewhere.",
      ]
      : []),
    ...(isWeak(items)
      ? ["WARNING: the signature uses SHA-1, and can be forged. The administrator allows it here."]
      : []),
    ...(also
      ? [
        `Two keys sign. The second one is post-quantum, of ${describeChoice(also)}: ` +
        "it signs all of the signed file, in a file beside it.",
      ]
      : []),
    ...(network ? [describeNetwork(network)] : []),
    ...(batch ? [`The list of ${items.length} documents has the SHA-256 ${binding}.`] : []),
    ...shown.map(describeItem),
    ...(items.length > shown.length ? [`… and ${items.length - shown.length} more`] : []),
    ...purposeOf(asker),
    ...shown.flatMap((item) => describePreview(item, bounds.previewLines)),
  ].join("\n");
}

function describeNetwork(
  { level, timestampAuthority }: NonNullable<SignRequest["network"]>,
): string {
  const asked = timestampAuthority === null
    ? "a time-stamping service, of which none is configured"
    : printable(timestampAuthority);
  const more = level === "B-T" ? "" : ", and the certificate's authorities whether it is valid";
  return `Level ${level}: D-Sign asks ${asked} for the time${more}. Without an answer nothing is signed.`;
}

export function describeChoice({ certificate, token }: Choice): string {
  const level = certificate.class ? `, class ${certificate.class}` : "";
  return `${printable(certificate.commonName)}${level}, valid until ` +
    `${certificate.notAfter.slice(0, 10)}, ${
      token.model === "PKCS#12" ? "in the key file" : "on"
    } ` +
    `"${printable(token.label)}"`;
}

export function describeKey(choice: Choice): string {
  return `${describeChoice(choice)}\nissued by ${printable(choice.certificate.issuer)}`;
}

/** Where the signature is seen in a PDF, and what is wrong with that place. */
export function describeBoxes(revision: ShownRevision | undefined): string {
  return (revision?.boxes ?? []).map(({ page, box: [left, bottom, right, top], ...told }) =>
    [
      `The signature is seen on page ${page}, ${Math.round(right - left)} by ` +
      `${Math.round(top - bottom)} points, ${Math.round(left)} from the left and ` +
      `${Math.round(bottom)} from the bottom.`,
      ...told.overText ? ["WARNING: it covers text of that page."] : [],
      ...told.overText === null ? ["WARNING: it could not be checked whether it covers text."] : [],
      ...told.large ? ["WARNING: it takes more than a tenth of that page."] : [],
    ].join("\n")
  ).join("\n");
}

/** The revision of the request's only PDF for a certificate; undefined if the signature is a separate file. */
export const revisionOf = async (
  { items, batch }: SignRequest,
  certificate: string,
  show: ShowPdf,
): Promise<ShownRevision | undefined> =>
  !batch && items.length === 1 && items[0].pdf?.adds
    ? (await show(0, certificate)).revision
    : undefined;

/** Warning about the tries left; empty if there is none. */
export const describeTries = ({ tries }: PinState): string => tries ? TRIES[tries] : "";

const TRIES = {
  low: "Few tries are left before the PIN locks.",
  final: "This may be the last try before the PIN locks.",
  unknown: "The token does not say how many tries are left. This may be the last try.",
};

/** Where else than in a field of ours the PIN is typed; empty where none is asked for. */
export const describeEntry = ({ entry }: PinState): string =>
  entry === "windows"
    ? "Windows asks for the PIN in its own window, which may be behind the others."
    : entry === "keypad"
    ? "You are asked on the token's keypad or the service's page."
    : "";

/** Why the token takes no PIN; null: it does. */
export const whyImpossible = ({ why }: PinState): DsignError | null =>
  why ? new DsignError(why) : null;

const nameOf = ({ origin, own }: Asker): string =>
  own ? "D-Sign's own page" : origin === null ? "A command on this computer" : printable(origin);

const purposeOf = ({ purpose }: Asker): string[] =>
  purpose ? [`It says: "${printable(purpose)}"`] : [];

function trustOf({ trustedSince, allowedByAdministrator }: Asker): string[] {
  if (trustedSince) return [`Allowed since ${trustedSince.slice(0, 10)}.`];
  return allowedByAdministrator ? ["Allowed by the administrator."] : [];
}

const isWeak = (items: readonly ConsentItem[]) =>
  items.some(({ hash }) => hash.algorithm === "SHA-1");

const MAX_NAME = 80;

function describeItem(
  { name, mediaType, size, hash, pdf, signedBy, route }: ConsentItem,
): string {
  const shown = printable(name.length > MAX_NAME ? name.slice(0, MAX_NAME) + "…" : name);
  const facts = [shown, printable(mediaType), size === null ? "" : `${size} bytes`];
  const what = `* ${[...facts, `${hash.algorithm} ${hash.hex}`].filter(Boolean).join(", ")}`;
  const before = (signedBy ?? []).map(({ name, proven }) =>
    proven
      ? `already signed by ${printable(name)}`
      : `already signed by somebody who claims to be ${printable(name)}; the issuer is not known`
  );
  return [what, ...before, ...stepsOf(route), ...additionsTo(pdf?.adds)].join("\n    ");
}

/** Before the person signs after somebody who may be anybody. */
export const UNPROVEN =
  "An earlier signature on this route is unproven: anybody can have made a certificate with that name.";

function stepsOf(route: ConsentItem["route"]): string[] {
  if (!route) return [];
  return route.steps.map(({ role, quorum, signed, unproven, open, isDone }, i) => {
    const who = signed.map((name) =>
      printable(name) + (unproven.includes(name) ? " (UNPROVEN: nobody vouches for it)" : "")
    );
    const done = who.length > 0 ? `signed by ${who.join(", ")}` : "";
    const waiting = isDone ? "" : `waits for ${open.map(printable).join(", ")}`;
    const now = i === route.next ? " (NOW)" : "";
    const count = `${signed.length} of ${quorum}`;
    return `${i + 1}. ${printable(role)}${now}, ${count}: ` +
      [done, waiting].filter(Boolean).join("; ");
  });
}

function additionsTo(adds: PdfAdditions | null | undefined): string[] {
  if (!adds) return [];
  const { reason, location, certify, locks, visible } = adds;
  return [
    visible?.page ? `seen on page ${visible.page}` : "",
    visible?.anchor ? `seen at the text "${printable(visible.anchor)}"` : "",
    visible?.role ? `as "${printable(visible.role)}"` : "",
    visible?.picture ? "WITH A PICTURE, which cannot be shown here" : "",
    visible?.qr ? `with a QR code of "${printable(visible.qr)}"` : "",
    reason ? `reason: "${printable(reason)}"` : "",
    location ? `place: "${printable(location)}"` : "",
    certify ? `CERTIFIES the document: afterwards ${CERTIFIES[certify]}` : "",
    locks ? "LOCKS form fields" : "",
  ].filter(Boolean);
}

const CERTIFIES = {
  1: "nothing may change",
  2: "forms and signatures may be added",
  3: "forms, signatures and comments may be added",
};

function describePreview({ preview }: ConsentItem, lineCount: number): string[] {
  if (!preview) return [];
  const lines = preview.text.split("\n");
  const isCut = lines.length > lineCount || preview.truncated;
  return [
    ...lines.slice(0, lineCount).map((line) => `    ${printable(line.replaceAll("\t", "  "))}`),
    ...(isCut ? ["    … (there is more)"] : []),
  ];
}
