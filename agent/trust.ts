/** Trust stores: the system's, and the NSS databases of Firefox and Chromium. */
import { dirname, join } from "node:path";
import { digest } from "../formats/digest.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { DsignError } from "../protocol/errors.ts";
import { derOf, isLoopbackAuthority } from "./tls.ts";

/** An authority of tls.ts in a file. */
export interface Authority {
  path: string;
  der: Uint8Array;
  /** By which stores keep it; another for each authority. */
  name: string;
  /** SHA-1 (hex, upper case), by which Windows and macOS name certificates. */
  thumbprint: string;
}

/** A trust store. */
export interface TrustStore {
  /** For people: `Firefox (…/abcd.default)`. */
  name: string;
  /** Only an administrator may change it. */
  administrator: boolean;
  has(authority: Authority): Promise<boolean>;
  install(authority: Authority): Promise<void>;
  remove(authority: Authority): Promise<void>;
}

/** Runs a command to its end; `code` is null if it is not there. */
export type Run = (command: string[]) => Promise<{ code: number | null; output: string }>;

export const run: Run = async ([program, ...args]) => {
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = new TextDecoder();
    return { code, output: text.decode(stdout) + text.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { code: null, output: "" };
    throw error;
  }
};

/**
 * Reads the authority to trust.
 *
 * @throws {DsignError} `invalid_params` if it is another certificate than tls.ts makes; `storage_failed`
 */
export async function readAuthority(path: string): Promise<Authority> {
  let text;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new DsignError("storage_failed", `The file ${path} cannot be read.`, {
      cause: String(error),
    });
  }
  return authorityOf(text, path);
}

/** @throws {DsignError} `invalid_params` */
export function authorityOf(pem: string, path: string): Authority {
  const der = derOf(pem);
  if (!der || !isLoopbackAuthority(readCertificate(der))) {
    throw new DsignError("invalid_params", `${path} is not an authority for this computer alone.`);
  }
  const thumbprint = digest("SHA-1", der).toHex().toUpperCase();
  return { path, der, name: `D-Sign ${thumbprint.slice(0, 8)}`, thumbprint };
}

async function succeed(run: Run, command: string[], missing: string): Promise<string> {
  const { code, output } = await run(command);
  if (code === 0) return output;
  throw new DsignError(
    "storage_failed",
    code === null
      ? missing
      : `${command[0]} failed: ${output.trim().split("\n")[0] || `exit code ${code}`}`,
    { cause: output },
  );
}

/** `/usr/local/share/ca-certificates` and update-ca-certificates(8), of Debian and its kin. */
export function debianStore(run: Run, root = "/"): TrustStore {
  const file = ({ thumbprint }: Authority) =>
    join(root, "usr/local/share/ca-certificates", `dsign-${thumbprint.toLowerCase()}.crt`);
  const update = (...options: string[]) =>
    succeed(
      run,
      ["update-ca-certificates", ...options],
      "update-ca-certificates is not there: apt-get install ca-certificates",
    );
  return {
    name: "this computer (ca-certificates)",
    administrator: true,
    has: (authority) => exists(file(authority)),
    async install(authority) {
      await Deno.mkdir(dirname(file(authority)), { recursive: true });
      await Deno.copyFile(authority.path, file(authority));
      await Deno.chmod(file(authority), 0o644);
      await update();
    },
    async remove(authority) {
      await Deno.remove(file(authority));
      await update("--fresh");
    },
  };
}

/** The current user's root certificates; Windows asks the person. */
export function windowsStore(run: Run): TrustStore {
  const certutil = (...args: string[]) =>
    succeed(run, ["certutil.exe", "-user", ...args], "certutil.exe is not there");
  return {
    name: "this user of Windows",
    administrator: false,
    has: async ({ thumbprint }) =>
      (await run(["certutil.exe", "-user", "-verifystore", "Root", thumbprint])).code === 0,
    install: async ({ path }) => void await certutil("-f", "-addstore", "Root", path),
    remove: async ({ thumbprint }) => void await certutil("-delstore", "Root", thumbprint),
  };
}

/** The user's login keychain; macOS asks the person. */
export function macStore(run: Run, home: string): TrustStore {
  const keychain = join(home, "Library/Keychains/login.keychain-db");
  const security = (...args: string[]) =>
    succeed(run, ["/usr/bin/security", ...args], "security is not there");
  return {
    name: "this user of macOS",
    administrator: false,
    has: async ({ thumbprint }) =>
      (await run(["/usr/bin/security", "find-certificate", "-a", "-Z", keychain])).output
        .includes(thumbprint),
    install: async ({ path }) =>
      void await security(
        ...["add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", keychain, path],
      ),
    async remove({ path, thumbprint }) {
      await security("remove-trusted-cert", path);
      await security("delete-certificate", "-Z", thumbprint, keychain);
    },
  };
}

/** A database of Firefox or Chromium, through the certutil of NSS. */
export function nssStore(run: Run, folder: string, owner: string): TrustStore {
  const MISSING = "certutil is not there: apt-get install libnss3-tools";
  const certutil = (...args: string[]) =>
    succeed(run, ["certutil", ...args, "-d", `sql:${folder}`], MISSING);
  return {
    name: `${owner} (${folder})`,
    administrator: false,
    has: async ({ name }) =>
      (await run(["certutil", "-L", "-d", `sql:${folder}`, "-n", name])).code === 0,
    async install({ name, path }) {
      if (!await exists(join(folder, "cert9.db"))) {
        await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
        await certutil("-N", "--empty-password");
      }
      await certutil("-A", "-t", "C,,", "-n", name, "-i", path);
    },
    remove: async ({ name }) => void await certutil("-D", "-n", name),
  };
}

/** Folders below which Firefox keeps a folder a profile, from the home folder. */
const FIREFOX: Partial<Record<typeof Deno.build.os, string[]>> = {
  linux: [
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
  ],
  // On these systems Firefox reads the system's trust store.
};

/** Where browsers of the Chromium kind on Linux look for authorities; the last is made if there is none. */
const CHROMIUM = [".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb", ".pki/nssdb"];

/** The stores of this computer and person. */
export async function trustStores(
  home: string,
  run: Run,
  os: typeof Deno.build.os = Deno.build.os,
): Promise<TrustStore[]> {
  if (os === "windows") return [windowsStore(run)];
  if (os === "darwin") return [macStore(run, home)];
  const stores: TrustStore[] = [debianStore(run)];
  const chromium: string[] = [];
  for (const path of CHROMIUM) {
    if (await exists(join(home, path, "cert9.db"))) chromium.push(join(home, path));
  }
  if (chromium.length === 0) chromium.push(join(home, CHROMIUM.at(-1)!));
  stores.push(...chromium.map((folder) => nssStore(run, folder, "Chromium, Chrome, Edge")));
  for (const path of FIREFOX[os] ?? []) {
    for (const profile of await folders(join(home, path))) {
      if (await exists(join(profile, "cert9.db"))) stores.push(nssStore(run, profile, "Firefox"));
    }
  }
  return stores;
}

/** Where the old authority is trusted, the new one takes its place, as far as this user may do that. */
export async function replaceAuthority(
  stores: readonly TrustStore[],
  old: Authority,
  authority: Authority,
): Promise<{ left: TrustStore[] }> {
  const left: TrustStore[] = [];
  for (const store of stores) {
    if (!await store.has(old)) continue;
    try {
      await store.install(authority);
      await store.remove(old);
    } catch {
      left.push(store); // said by the caller: an administrator has to do it, or the person declined
    }
  }
  return { left };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

async function folders(path: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (isDirectory) found.push(join(path, name));
    }
  } catch {
    // This browser was never used.
  }
  return found.sort();
}
