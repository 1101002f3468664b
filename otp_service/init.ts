/** A service's first files: its secret, an issuing authority of its own, and a configuration to go on from. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import {
  basicConstraints,
  keyUsage,
  prepareCertificate,
  subjectKeyIdentifier,
} from "../formats/x509/write.ts";
import { encodeName } from "../formats/x509/name.ts";
import type { MlDsa } from "../formats/signer.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { newMlDsaKey, softwareKey } from "../signers/software_key.ts";
import { OtpConfig } from "./config.ts";
import { SetupError } from "./error.ts";
import { sha256, token } from "./secrets.ts";

const YEAR = 365 * 24 * 3_600_000;

export interface InitOptions {
  organization: string;
  publicUrl: string;
  /** The department's policy, dotted. */
  policy: string;
  /** Addresses to which signatories return to the portal. */
  redirectUris: string[];
  /** Default: SQLite's file in the folder. */
  database?: string;
  /** Makes the configurations `1.json`, `2.json` … of instances on this computer, in the place of `config.json`. */
  instances?: number;
  /** Of the issuing authority; the signatories' keys are another matter. Default: `p-256`. */
  authorityKey?: AuthorityKey;
}

/** Keys that an issuing authority can have. */
export type AuthorityKey = "p-256" | "ml-dsa-44" | "ml-dsa-65" | "ml-dsa-87";

/**
 * Fills an empty or missing folder.
 *
 * @returns the client's secret, which stands nowhere else
 * @throws {SetupError} where the folder holds something, or an option is wrong
 */
export async function initService(
  folder: string,
  { organization, publicUrl, policy, redirectUris, authorityKey, database, instances }: InitOptions,
): Promise<{ clientId: string; clientSecret: string }> {
  const { secret: clientSecret, secretHash } = newClientSecret();
  const config: Record<string, unknown> = {
    publicUrl,
    name: `${organization}: PIN/OTP signatures`.slice(0, 100),
    organization,
    policy,
    logKeyFile: "log-key",
    ...database !== undefined && { database },
    authority: { keyFile: "authority.p12", passwordFile: "authority.password" },
    clients: [{
      id: "portal",
      name: `Portal of ${organization}`.slice(0, 100),
      secretHash,
      redirectUris,
      admin: true,
    }],
  };
  const { error } = OtpConfig.safeParse(config);
  if (error) {
    const [{ path, message }] = error.issues;
    throw new SetupError(`${path.join(".")}: ${message}.`);
  }
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  for await (const _ of Deno.readDir(folder)) throw new SetupError(`${folder} is not empty.`);
  const write = (name: string, text: string) => writeNew(join(folder, name), text);
  for (const name of ["secret", "log-key"]) {
    await write(name, randomBytes(32).toString("hex") + "\n");
  }
  await writeAuthority(folder, { organization, authorityKey });
  await write("policy.json", JSON.stringify({ departmentalPolicies: [policy] }, null, 2) + "\n");
  // last: with them the folder is a service's
  for (let i = 0; i < (instances ?? 1); i++) {
    // as deploy/otp-service/nginx.conf has them
    const ports = { listen: `127.0.0.1:${7795 + 10 * i}`, monitor: `127.0.0.1:${7796 + 10 * i}` };
    await write(
      instances === undefined ? "config.json" : `${i + 1}.json`,
      JSON.stringify({ ...config, ...instances !== undefined && ports }, null, 2) + "\n",
    );
  }
  return { clientId: "portal", clientSecret };
}

/** A new secret for a portal, and what the configuration holds of it. */
export function newClientSecret(): { secret: string; secretHash: string } {
  const secret = token();
  const hash = Uint8Array.fromBase64(sha256(secret), { alphabet: "base64url" });
  return { secret, secretHash: hash.toHex() };
}

async function writeNew(path: string, data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  try {
    await Deno.writeFile(path, bytes, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new SetupError(`${path} exists already. Use it, or move it away.`);
  }
}

/**
 * Makes an issuing authority: its PKCS #12 file, the file of its password, and its certificate in PEM.
 *
 * @param number of those that the service had, from 1 on; those after the first have it in their names
 * @throws {SetupError} where one of the files exists
 */
export async function writeAuthority(
  folder: string,
  { organization, authorityKey = "p-256", number = 1 }: {
    organization: string;
    authorityKey?: AuthorityKey;
    number?: number;
  },
): Promise<{ keyFile: string; passwordFile: string; certificateFile: string }> {
  const password = token();
  const name = number === 1 ? "" : ` ${number}`;
  const { pkcs12, certificate } = await makeAuthority(organization, name, password, authorityKey);
  const [keyFile, passwordFile, certificateFile] = ["p12", "password", "pem"]
    .map((kind) => `authority${name.replace(" ", "-")}.${kind}`);
  await writeNew(join(folder, passwordFile), password + "\n");
  await writeNew(join(folder, keyFile), pkcs12);
  await writeNew(join(folder, certificateFile), certificate);
  return { keyFile, passwordFile, certificateFile };
}

async function makeKey(type: AuthorityKey) {
  if (type !== "p-256") {
    const scheme = type.toUpperCase() as MlDsa;
    const { pkcs8, publicKey } = await newMlDsaKey(scheme);
    return { key: pkcs8, spki: publicKey, algorithm: { scheme, hash: "SHA-512" } as const };
  }
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    key: new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" })),
    spki: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
    algorithm: { scheme: "ECDSA", hash: "SHA-256" } as const,
  };
}

async function makeAuthority(
  organization: string,
  name: string,
  password: string,
  type: AuthorityKey,
) {
  const { key, spki, algorithm } = await makeKey(type);
  const subject = encodeName([
    ["C", "IN"],
    ["O", organization],
    ["CN", `${organization} PIN/OTP`.slice(0, 64 - name.length) + name],
  ]);
  const now = Date.now();
  const prepared = prepareCertificate({
    serialNumber: Uint8Array.of(0x40, ...randomBytes(15)),
    issuer: subject,
    subject,
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + 10 * YEAR),
    publicKey: spki,
    algorithm,
    extensions: [
      basicConstraints(true, 0),
      keyUsage("keyCertSign", "cRLSign", "digitalSignature"),
      subjectKeyIdentifier(spki),
    ],
  });
  const signer = await softwareKey(key);
  const der = prepared.complete(signer.sign(algorithm, { message: prepared.toBeSigned }));
  signer.wipe();
  const pkcs12 = await writePkcs12({
    key,
    certificates: [der],
    password: new TextEncoder().encode(password),
    friendlyName: "PIN/OTP authority",
  });
  key.fill(0);
  return { pkcs12, certificate: pem("CERTIFICATE", der) };
}
