import type { Command } from "commander";
import { loadAnchors, trustFolders } from "../settings/anchors.ts";
import { findPaths } from "../settings/config.ts";
import {
  addRoot,
  listRoots,
  type NotARoot,
  notARoot,
  removeRoot,
  type TrustedRoot,
} from "../settings/roots.ts";
import { isOfCca, knownRoot } from "../formats/x509/india.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import type { Action } from "./command.ts";
import { EXIT, printable, printJson, UsageError } from "./failure.ts";

const env = (name: string) => Deno.env.get(name);

interface Options {
  system?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** `dsign trust roots` */
export function addRootsCommand(trust: Command, action: Action): void {
  const command = trust.command("roots")
    .description("List, add and remove the root certificates by which signatures are verified.");

  command.command("list")
    .description("List the trusted root certificates.")
    .option("--json", "print one JSON object")
    .action(action(async ({ json }: Options) => {
      const roots = await listRoots(folders());
      if (json) printJson({ roots: roots.map(toJson), folders: folders() });
      else if (roots.length === 0) {
        console.log("No root certificate is trusted yet. Add one with: dsign trust roots add FILE");
      } else for (const root of roots) show(root.certificate, root.path);
    }));

  command.command("add")
    .description("Trust the root certificates in a file (PEM or DER).")
    .argument("<file>")
    .option("--system", "for everybody on this computer (as root or administrator)")
    .option("--yes", "do not ask; compare the fingerprint first")
    .option("--json", "print one JSON object")
    .action(action(async (file: string, { system, yes, json }: Options) => {
      const certificates = await loadAnchors(file);
      if (certificates.length === 0) throw new UsageError(`${file}: no certificate found.`);
      for (const certificate of certificates) {
        const why = await notARoot(certificate);
        if (why) {
          const sentence = refusals[why](certificate);
          throw new UsageError(`${file}: the certificate of "${nameOf(certificate)}" ${sentence}.`);
        }
      }
      if (!json) certificates.forEach((each) => show(each));
      if (!yes && !(!json && Deno.stdin.isTerminal() && confirm(question(certificates)))) {
        if (json) printJson({ added: [] });
        else console.log("Nothing was added. Use --yes to add without asking.");
        return EXIT.refused;
      }
      const [own, administrators] = folders();
      const added: TrustedRoot[] = [];
      for (const certificate of certificates) {
        const path = await addRoot(system ? administrators : own, certificate);
        added.push({ certificate, path });
        if (!json) console.log(`Added ${printable(path)}`);
      }
      if (json) printJson({ added: added.map(toJson) });
      return EXIT.ok;
    }));

  command.command("remove")
    .description("Trust a root certificate no longer.")
    .argument("<fingerprint>", "the first digits of its SHA-256 fingerprint, 8 or more")
    .option("--json", "print one JSON object")
    .action(action(async (given: string, { json }: Options) => {
      const wanted = given.replace(/[:\s]/g, "").toLowerCase();
      if (!/^[0-9a-f]{8,64}$/.test(wanted)) {
        throw new UsageError(
          "Give the first digits of the SHA-256 fingerprint, 8 or more: see dsign trust roots list.",
        );
      }
      const found = (await listRoots(folders()))
        .filter(({ certificate }) => certificate.fingerprint.startsWith(wanted));
      if (new Set(found.map(({ certificate }) => certificate.fingerprint)).size !== 1) {
        throw new UsageError(
          found.length === 0
            ? `No trusted root has a fingerprint that begins with ${wanted}.`
            : `Several trusted roots have fingerprints that begin with ${wanted}: give more digits.`,
        );
      }
      for (const root of found) await removeRoot(root);
      if (json) printJson({ removed: found.map(toJson) });
      else for (const { path } of found) console.log(`Removed from ${printable(path)}`);
    }));
}

const folders = () => trustFolders(findPaths(env), env);

const nameOf = ({ subject }: Certificate) => subject.commonName ?? subject.toString();

const refusals: Record<NotARoot, (certificate: Certificate) => string> = {
  issued_by_another: ({ issuer }) =>
    `was issued by "${issuer.commonName ?? issuer}": add that authority's root instead`,
  not_an_authority: () => "is not that of an authority",
  not_self_signed: () => "is not signed with its own key",
  of_trial: () => "is of a trial agent, whose signatures are worth nothing",
};

const toJson = ({ certificate, path }: TrustedRoot) => ({
  subject: certificate.subject.toString(),
  notBefore: certificate.notBefore.toISOString(),
  notAfter: certificate.notAfter.toISOString(),
  sha256: certificate.fingerprint,
  known: knownRoot(certificate) ?? null,
  path,
});

function show(certificate: Certificate, path?: string): void {
  const { subject, notBefore, notAfter, fingerprint } = certificate;
  const day = (date: Date) => date.toISOString().slice(0, 10);
  const known = knownRoot(certificate);
  console.log(printable(subject.toString()));
  console.log(`  valid    ${day(notBefore)} to ${day(notAfter)}`);
  console.log(`  SHA-256  ${fingerprint.toUpperCase().replace(/..(?=.)/g, "$&:")}`);
  if (known) console.log(`  known as ${known}, a root of India's PKI`);
  if (path) console.log(`  file     ${printable(path)}`);
}

function question(certificates: readonly Certificate[]): string {
  const publisher = certificates.some((each) => isOfCca(nameOf(each)))
    ? "the CCA publishes on cca.gov.in"
    : "its authority publishes";
  return `Every signature below it will count as that of the person it names. ` +
    `Is the fingerprint the one that ${publisher}?`;
}
