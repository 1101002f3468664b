/**
 * The demonstration's tokens: a PKI in the profile of India's, three officers, each with a token of their own. Three
 * SoftHSM tokens where SoftHSM and pkcs11-tool are installed, otherwise three PKCS #12 files.
 */
import { makePki, type Officer } from "../tests/fixtures/pki.ts";
import { hostCommand } from "../cli/host_command.ts";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import { Pkcs11Provider } from "../signers/pkcs11.ts";
import { Pkcs12Provider } from "../signers/pkcs12.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import type { Provider } from "../signers/provider.ts";
import { findLibrary, missing } from "./setup.ts";

/** Where the tokens are, as the agent's providers take them. */
export type TokenStore =
  | { provider: "pkcs11:softhsm2"; library: string; env: { SOFTHSM2_CONF: string } }
  | { provider: "pkcs12"; folder: string };

export interface DemoOfficer {
  /** Common name in the certificate, and the token's label. */
  name: string;
  /** No secret: it is printed for whoever tries the demonstration. */
  pin: string;
  /** DER. */
  certificate: Uint8Array;
  /** SHA-256 of the certificate, hexadecimal. */
  fingerprint: string;
}

export interface DemoTokens {
  store: TokenStore;
  officers: DemoOfficer[];
  /** PEM file of the root, to which a check must lead. */
  root: string;
}

/** What `close` ends: the provider and the driver's process, if it has one. */
export function openStore(store: TokenStore): Provider {
  if (store.provider === "pkcs12") return new Pkcs12Provider([store.folder]);
  const client = new Pkcs11Client({
    modulePath: store.library,
    command: hostCommand(new URL("../main.ts", import.meta.url).href),
    env: store.env,
  });
  return new Pkcs11Provider([{ name: "SoftHSM", client }]);
}

/** They sign one after another: the bill passes from the first to the last. */
const PEOPLE = [
  { name: "Anita Das", pin: "111111", key: "rsa-2048" },
  { name: "Bikram Sen", pin: "222222", key: "rsa-2048" },
  { name: "Charulata Roy", pin: "333333", key: "p-256" },
] as const;

/** PEM (RFC 7468). */
export function pem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().match(/.{1,64}/g)!.join("\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** Makes all of it anew in `folder`, which must exist and be private. */
export async function makeTokens(folder: string): Promise<DemoTokens> {
  const { officers, root } = makePki({ officers: PEOPLE });
  const rootFile = `${folder}/root.pem`;
  await Deno.writeTextFile(rootFile, pem("CERTIFICATE", root.certificate.der));
  const lacking = await missing("demo");
  const library = await findLibrary("softhsm/libsofthsm2.so");
  const useSoftHsm = library !== null && !lacking.includes("softhsm2") &&
    !lacking.includes("opensc");
  return {
    store: useSoftHsm
      ? await onSoftHsm(folder, library, officers)
      : await inFiles(folder, officers),
    officers: PEOPLE.map(({ name, pin }, index) => ({
      name,
      pin,
      certificate: officers[index]!.certificate.der,
      fingerprint: officers[index]!.certificate.fingerprint,
    })),
    root: rootFile,
  };
}

async function inFiles(folder: string, officers: readonly Officer[]): Promise<TokenStore> {
  const tokens = `${folder}/tokens`;
  await Deno.mkdir(tokens, { mode: 0o700 });
  await Promise.all(officers.map(async ({ name, certificate, pkcs8, chain }, index) => {
    const file = await writePkcs12({
      key: pkcs8,
      certificates: [certificate.der, ...chain],
      password: new TextEncoder().encode(PEOPLE[index]!.pin),
      friendlyName: name,
    });
    await Deno.writeFile(`${tokens}/${name}.p12`, file, { mode: 0o600 });
  }));
  return { provider: "pkcs12", folder: tokens };
}

async function onSoftHsm(
  folder: string,
  library: string,
  officers: readonly Officer[],
): Promise<TokenStore> {
  const env = { SOFTHSM2_CONF: `${folder}/softhsm2.conf` };
  await Deno.mkdir(`${folder}/tokens`, { mode: 0o700 });
  await Deno.writeTextFile(
    env.SOFTHSM2_CONF,
    `directories.tokendir = ${folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const run = async (program: string, ...args: string[]) => {
    const { success, stderr } = await new Deno.Command(program, {
      args,
      env,
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  };
  for (const [index, { name, certificate, pkcs8, chain }] of officers.entries()) {
    // the demonstration's own printed PINs: nothing is lost by having them in the arguments
    const { pin } = PEOPLE[index]!;
    const at = ["--token", name, "--pin", pin];
    await run(
      "softhsm2-util",
      "--init-token",
      "--free",
      "--label",
      name,
      "--pin",
      pin,
      "--so-pin",
      pin,
    );
    const file = `${folder}/object`;
    await Deno.writeTextFile(file, pem("PRIVATE KEY", pkcs8), { mode: 0o600 });
    await run("softhsm2-util", "--import", file, ...at, "--label", name, "--id", "01");
    for (const [position, der] of [certificate.der, ...chain.slice(0, -1)].entries()) {
      await Deno.writeFile(file, der);
      await run(
        "pkcs11-tool",
        ...["--module", library, "--token-label", name, "--login", "--pin", pin],
        ...["--write-object", file, "--type", "cert", "--id", `0${position + 1}`, "--label", name],
      );
    }
    await Deno.remove(file);
  }
  return { provider: "pkcs11:softhsm2", library, env };
}
