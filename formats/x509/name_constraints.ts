/**
 * Name constraints (RFC 5280 §4.2.1.10, §6.1.3 b–c). Instead of building unions and intersections,
 * the constraints of every certificate of the path are kept and each must be met.
 */
import { type GeneralName, type GeneralNameKind, unreadableKind } from "./general_name.ts";
import { attributeTypes } from "./name.ts";
import type { Certificate } from "./certificate.ts";
import type { NameConstraints } from "./extensions.ts";

/** Comparisons for one certificate; a bound on the work that hostile certificates can ask for. */
const MAX_COMPARISONS = 100_000;

/** Names of a certificate that constraints apply to: its subject and alternative names. */
function constrainedNames(certificate: Certificate): GeneralName[] {
  const { subject, subjectAltNames } = certificate;
  const names = [...subjectAltNames];
  if (!subject.isEmpty) names.push({ kind: "directory", name: subject });
  if (!names.some(({ kind }) => kind === "rfc822")) {
    for (const { type, text } of subject.rdns.flat()) {
      if (type === attributeTypes.emailAddress && text !== undefined) {
        names.push({ kind: "rfc822", text });
      }
    }
  }
  return names;
}

/**
 * Checks that all names of a certificate satisfy the constraints of the authorities above it.
 *
 * @returns the sentence part that says what is wrong, or `undefined`
 */
export function nameConstraintsViolation(
  certificate: Certificate,
  constraints: readonly NameConstraints[],
): string | undefined {
  if (constraints.length === 0) return undefined;
  const names = constrainedNames(certificate);
  const total = constraints.reduce((sum, each) => {
    return sum + each.permitted.length + each.excluded.length;
  }, 0);
  if (total * names.length > MAX_COMPARISONS) return "has too many names to be compared";
  for (const name of names) {
    for (const { permitted, excluded } of constraints) {
      // A name we cannot read cannot be compared with a constraint.
      const unread = name.kind === "other" ? unreadableKind(name.tag) : undefined;
      if (unread && [...permitted, ...excluded].some(({ kind }) => kind === unread)) {
        return `has a name (${
          formNames[unread]
        }) that cannot be read, where such names are constrained`;
      }
      const same = permitted.filter((base) => sameForm(base, name));
      if (same.length > 0 && !same.some((base) => isPermitted(name, base))) {
        return `has a name (${formNames[name.kind]}) outside the names permitted to its authority`;
      }
      if (excluded.some((base) => sameForm(base, name) && isExcluded(name, base))) {
        return `has a name (${formNames[name.kind]}) that its authority is forbidden to certify`;
      }
    }
  }
  return undefined;
}

const formNames: Readonly<Record<GeneralNameKind, string>> = {
  rfc822: "e-mail address",
  dns: "host",
  uri: "URI",
  directory: "subject",
  ip: "IP address",
  registeredId: "registered identifier",
  other: "of another form",
};

const sameForm = (base: GeneralName, name: GeneralName): boolean =>
  base.kind === name.kind &&
  (base.kind !== "other" || name.kind !== "other" || base.tag === name.tag);

function isPermitted(name: GeneralName, base: GeneralName): boolean {
  return matches(name, base) === true;
}

/** A name that cannot be compared counts as excluded (RFC 5280 §4.2.1.10). */
function isExcluded(name: GeneralName, base: GeneralName): boolean {
  if (matches(name, base) !== false) return true;
  // A wildcard stands for hosts that may be excluded.
  return name.kind === "dns" && base.kind === "dns" && name.text.startsWith("*.") &&
    isHostWithin(base.text, name.text.slice(2));
}

/** Whether the name is within the base; `undefined` if unknown. */
function matches(name: GeneralName, base: GeneralName): boolean | undefined {
  if (name.kind === "directory" && base.kind === "directory") return name.name.isWithin(base.name);
  if (name.kind === "ip" && base.kind === "ip") return isAddressWithin(name.bytes, base.bytes);
  if (name.kind === "dns" && base.kind === "dns") return isHostWithin(name.text, base.text);
  if (name.kind === "rfc822" && base.kind === "rfc822") return isMailWithin(name.text, base.text);
  if (name.kind === "uri" && base.kind === "uri") {
    const host = uriHost(name.text);
    return host === undefined ? undefined : isHostOrSubdomain(host, base.text);
  }
  return undefined;
}

/** DNS: the host itself or any below it; an empty base means all. */
function isHostWithin(host: string, base: string): boolean {
  const name = withoutRootDot(host);
  const end = withoutRootDot(base);
  return end === "" || name === end || name.endsWith(end.startsWith(".") ? end : `.${end}`);
}

const withoutRootDot = (host: string) => host.toLowerCase().replace(/\.$/, "");

/** E-mail and URI: with a leading dot any host below, else this host alone. */
function isHostOrSubdomain(host: string, base: string): boolean {
  const name = withoutRootDot(host);
  const end = withoutRootDot(base);
  return end.startsWith(".") ? name.endsWith(end) && name.length > end.length : name === end;
}

function isMailWithin(address: string, base: string): boolean | undefined {
  const at = address.lastIndexOf("@");
  if (at < 1) return undefined;
  const host = address.slice(at + 1);
  const baseAt = base.lastIndexOf("@");
  if (baseAt < 0) return base === "" || isHostOrSubdomain(host, base);
  return address.slice(0, at) === base.slice(0, baseAt) &&
    withoutRootDot(host) === withoutRootDot(base.slice(baseAt + 1));
}

/** The host name of a URI with an authority; `undefined` if it has none or an IP address. */
function uriHost(uri: string): string | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1];
  const host = authority?.replace(/^.*@/, "").replace(/:\d*$/, "");
  return host && /[a-z]/i.test(host) && !host.startsWith("[") ? host : undefined;
}

/** The base is address and mask, each as long as the address. */
function isAddressWithin(address: Uint8Array, base: Uint8Array): boolean | undefined {
  if (address.length !== 4 && address.length !== 16) return undefined;
  if (base.length !== 8 && base.length !== 32) return undefined;
  if (base.length !== 2 * address.length) return false; // IPv4 is not within IPv6
  return address.every((byte, index) => {
    const mask = base[address.length + index];
    return (byte & mask) === (base[index] & mask);
  });
}
