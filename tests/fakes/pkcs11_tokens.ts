/** Real PKCS#11 tokens for tests, each in its own temporary directory. */
import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { basicConstraints } from "../fixtures/extensions.ts";
import { issue } from "../fixtures/issue.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { openssl, run } from "../fixtures/openssl.ts";
import type { TestKeyType } from "../fixtures/keys.ts";

/** The user PIN of every test token. */
export const PIN = "12345678";

/** Starts the child of a driver. */
export const HOST_COMMAND = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--allow-ffi",
  "--allow-read",
  fileURLToPath(new URL("../../pkcs11_ffi/host.ts", import.meta.url)),
];

/** A key pair with a self-signed certificate, as files and in memory. */
export interface TestKey {
  name: string;
  type: "rsa" | "ec";
  /** CKA_ID, hex. */
  id: string;
  keyPem: string;
  keyDer: string;
  certificateDer: string;
  pkcs12: string;
  certificate: X509Certificate;
}

/** A module with one token that holds the test keys. */
export interface TestToken {
  modulePath: string;
  initArgs?: string;
  env: Record<string, string>;
  /** Starts the child of this module. */
  command: string[];
  label: string;
  keys: TestKey[];
  close(): Promise<void>;
}

/**
 * Finds a module in the library directories of Debian.
 *
 * @throws {Error} naming the package
 */
export function findModule(names: string[], debianPackage: string): string {
  // Not the private copies of browsers, which lie in /usr/lib too.
  const multiarch = readdirSync("/usr/lib").filter((name) => name.includes("-linux-gnu"));
  const folders = ["/usr/lib", ...multiarch.map((name) => join("/usr/lib", name))];
  for (const name of names) {
    const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (found) return found;
  }
  throw new Error(`${names[0]} is missing: install the Debian package ${debianPackage}`);
}

/** Key pairs, as files that other programs read. One has a CKA_ID of 52 bytes: such tokens exist. */
export async function makeKeys(dir: string, names: string[]): Promise<TestKey[]> {
  const keys: TestKey[] = [];
  for (const name of names) {
    const file = (ending: string) => join(dir, `${name}.${ending}`);
    const [, kind, size] = name.match(/^(rsa|p)(\d+)$/)!;
    const { certificate, pkcs8 } = issue({
      subject: [["CN", name]],
      key: `${kind}-${size}` as TestKeyType,
      notBefore: new Date(),
      notAfter: new Date(Date.now() + 3650 * 24 * 3_600_000),
      extensions: [basicConstraints(false)],
    });
    Deno.writeTextFileSync(file("key"), pem("PRIVATE KEY", pkcs8));
    Deno.writeFileSync(file("key.der"), pkcs8);
    Deno.writeTextFileSync(file("pem"), pem("CERTIFICATE", certificate.der));
    Deno.writeFileSync(file("der"), certificate.der);
    const both = ["-inkey", file("key"), "-in", file("pem"), "-name", name];
    await openssl(["pkcs12", "-export", ...both, "-passout", "pass:test", "-out", file("p12")]);
    const number = (keys.length + 1).toString(16).padStart(2, "0");
    keys.push({
      name,
      type: kind === "rsa" ? "rsa" : "ec",
      id: name === "rsa3072" ? number.repeat(52) : number,
      keyPem: file("key"),
      keyDer: file("key.der"),
      certificateDer: file("der"),
      pkcs12: file("p12"),
      certificate: new X509Certificate(certificate.der),
    });
  }
  return keys;
}

/** Writes keys and certificates to a token with OpenSC's pkcs11-tool. */
async function writeKeys(
  tool: (args: string[]) => Promise<unknown>,
  keys: TestKey[],
): Promise<void> {
  for (const { keyDer, certificateDer, id, name } of keys) {
    for (const [file, type] of [[keyDer, "privkey"], [certificateDer, "cert"]]) {
      const object = ["--write-object", file, "--type", type, "--id", id, "--label", name];
      await tool(["--login", "--pin", PIN, ...object]);
    }
  }
}

/** A token of SoftHSM 2. */
export async function softhsm(
  dir: string,
  keys: TestKey[],
  label = "D-Sign test",
): Promise<TestToken> {
  const modulePath = findModule(["softhsm/libsofthsm2.so"], "libsofthsm2");
  const tokens = join(dir, "softhsm");
  const conf = join(dir, "softhsm2.conf");
  Deno.mkdirSync(tokens, { recursive: true });
  Deno.writeTextFileSync(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\n`);
  const env = { SOFTHSM2_CONF: conf };
  const pins = ["--so-pin", "87654321", "--pin", PIN];
  const init = ["--init-token", "--free", "--label", label, ...pins];
  await run("softhsm2-util", "softhsm2", init, { env });
  const tool = (args: string[]) =>
    run("pkcs11-tool", "opensc", [
      ...["--module", modulePath, "--token-label", label],
      ...args,
    ], { env });
  await writeKeys(tool, keys);
  return { modulePath, env, command: HOST_COMMAND, label, keys, close: async () => {} };
}

/** The key database of NSS, through its softoken. */
export async function nss(dir: string, keys: TestKey[]): Promise<TestToken> {
  const modulePath = findModule(["libsoftokn3.so"], "libnss3");
  const folder = join(dir, "nss");
  const password = join(dir, "nss-password");
  Deno.mkdirSync(folder);
  Deno.writeTextFileSync(password, PIN);
  await run("certutil", "libnss3-tools", ["-N", "-d", `sql:${folder}`, "-f", password]);
  for (const { pkcs12 } of keys) {
    const source = ["-i", pkcs12, "-W", "test"];
    await run("pk12util", "libnss3-tools", [
      ...source,
      ...["-d", `sql:${folder}`, "-k", password],
    ]);
  }
  return {
    modulePath,
    initArgs: `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`,
    env: {},
    command: HOST_COMMAND,
    label: "NSS Certificate DB",
    keys,
    close: async () => {},
  };
}

/**
 * The software token of openCryptoki. Its paths are fixed and its daemon is one for a machine, so
 * it runs in a separate mount and IPC namespace, which needs root and leaves nothing behind.
 */
export async function opencryptoki(dir: string, keys: TestKey[]): Promise<TestToken> {
  const modulePath = findModule(
    ["pkcs11/libopencryptoki.so", "opencryptoki/libopencryptoki.so.0"],
    "opencryptoki",
  );
  const etc = join(dir, "opencryptoki");
  Deno.mkdirSync(etc);
  const conf = "version opencryptoki-3.1\nslot 0\n{\nstdll = libpkcs11_sw.so\n}\n";
  Deno.writeTextFileSync(join(etc, "opencryptoki.conf"), conf);
  const script = `
    set -e
    mount --make-rprivate /
    mount --bind "$0" /etc/opencryptoki
    mount -t tmpfs tmpfs /var/lib/opencryptoki
    mount -t tmpfs tmpfs /run
    mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ
    chgrp -R pkcs11 /run/lock /var/lib/opencryptoki
    chmod -R 770 /run/lock/opencryptoki /var/lib/opencryptoki
    touch /run/dsign-test
    exec pkcsslotd -f`;
  const daemon = new Deno.Command("unshare", {
    args: ["--mount", "--ipc", "sh", "-c", script, etc],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  // unshare and sh replace themselves, so this is the daemon's own number.
  const inside = ["--target", String(daemon.pid), "--mount", "--ipc", "--"];
  const enter = (debian: string, ...args: string[]) => run("nsenter", debian, [...inside, ...args]);
  const close = async () => {
    try {
      daemon.kill("SIGTERM");
    } catch {
      // It has ended by itself; its message is on standard error.
    }
    await daemon.status;
  };
  try {
    // Until unshare has done its work these are the namespaces of the whole machine, so each try
    // enters anew, and only the file that the script made says that it is inside.
    for (let tries = 0;; tries++) {
      const ready = "[ -e /run/dsign-test ] && [ -S /run/pkcsslotd.socket ]";
      try {
        await enter("util-linux", "sh", "-c", ready);
        break;
      } catch (error) {
        if (tries === 100) throw error;
        await new Promise((done) => setTimeout(done, 100));
      }
    }
    const pkcsconf = (flag: string, ...lines: string[]) =>
      enter(
        "opencryptoki",
        ...["sh", "-c", `printf "$0" | pkcsconf ${flag} -c 0`],
        lines.map((line) => line + "\n").join(""),
      );
    const label = "D-Sign test";
    const soPin = "11112222";
    await pkcsconf("-I", "87654321", label);
    await pkcsconf("-P", "87654321", soPin, soPin); // The first SO PIN must be changed.
    await pkcsconf("-u", soPin, PIN, PIN);
    await writeKeys(
      (args) => enter("opensc", "pkcs11-tool", "--module", modulePath, ...args),
      keys,
    );
    const command = ["nsenter", ...inside, ...HOST_COMMAND];
    return { modulePath, env: {}, command, label, keys, close };
  } catch (error) {
    await close();
    throw error;
  }
}
