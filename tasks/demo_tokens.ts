/**
 * The demonstration's tokens: a PKI in the profile of India's, three officers, each with their own token. Three
 * SoftHSM tokens where SoftHSM and pkcs11-tool are installed, otherwise three PKCS #12 files.
 */
import { makeKey } from "../tests/fixtures/keys.ts";
import { makePki, type Officer, type Pki } from "../tests/fixtures/pki.ts";
import { pem } from "../formats/asn1/pem.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import type { TokenStore } from "./demo_store.ts";
import { findLibrary, missing } from "./setup.ts";

export interface DemoOfficer {
  /** Common name in the certificate, and the token's label. */
  name: string;
  /** Not secret: it is printed for anyone who tries the demonstration. */
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
  /** The authorities, to serve what they serve. */
  pki: Pki;
  /** The address that serves them; empty if none does. */
  pkiUrl: string;
}

/** SoftHSM's library; null if it, or the program that makes its tokens, is not there. */
export async function softHsm(): Promise<string | null> {
  return (await missing("demo")).includes("softhsm2")
    ? null
    : await findLibrary("softhsm/libsofthsm2.so");
}

/** They sign one after another: the bill passes from the first to the last. */
const PEOPLE = [
  { name: "Anita Das", pin: "111111", key: "rsa-2048" },
  { name: "Bikram Sen", pin: "222222", key: "rsa-2048" },
  { name: "Charulata Roy", pin: "333333", key: "p-256" },
] as const;

/**
 * Makes all of it anew in `folder`, which must exist and be private.
 *
 * @param pkiUrl address that will serve the authorities' CRLs, if any
 */
export async function makeTokens(folder: string, pkiUrl = ""): Promise<DemoTokens> {
  const pki = makePki({ officers: PEOPLE, baseUrl: pkiUrl || undefined, newKey: makeKey });
  const { officers, root } = pki;
  const rootFile = `${folder}/root.pem`;
  await Deno.writeTextFile(rootFile, pem("CERTIFICATE", root.certificate.der));
  const library = await softHsm();
  const useSoftHsm = library !== null && !(await missing("demo")).includes("opensc");
  return {
    pki,
    pkiUrl,
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
  const env = await softHsmFolder(folder);
  const run = (program: string, ...args: string[]) => runIn(env, program, ...args);
  for (const [index, { name, certificate, pkcs8, chain }] of officers.entries()) {
    // the demonstration's own printed PINs: nothing is lost by having them in the arguments
    const { pin } = PEOPLE[index]!;
    const at = ["--token", name, "--pin", pin];
    await initToken(env, name, pin);
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

/** An empty folder of tokens, and the environment in which SoftHSM uses it. */
export async function softHsmFolder(folder: string): Promise<{ SOFTHSM2_CONF: string }> {
  const env = { SOFTHSM2_CONF: `${folder}/softhsm2.conf` };
  await Deno.mkdir(`${folder}/tokens`, { mode: 0o700 });
  await Deno.writeTextFile(
    env.SOFTHSM2_CONF,
    `directories.tokendir = ${folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  return env;
}

/** Makes a token; its PIN is the demonstration's own, so nothing is lost by having it in the arguments. */
export async function initToken(
  env: Record<string, string>,
  label: string,
  pin: string,
): Promise<void> {
  const pins = ["--pin", pin, "--so-pin", pin];
  await runIn(env, "softhsm2-util", "--init-token", "--free", "--label", label, ...pins);
}

async function runIn(env: Record<string, string>, program: string, ...args: string[]) {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    env,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
}
