/** What the judges of ML-DSA are built from: crates.io, PyPI and Maven Central. The results stay in the user's cache. */
import { dirname, join } from "node:path";

const HERE = import.meta.dirname!;
const PYTHON = ["cryptography==50.0.2", "libclang==18.1.1", "PyKCS11==1.5.20", "pyHanko==0.38.0"];
/** Changes with what is built, so that an older cache is not taken for it. */
const VERSION = "kryoptic-1.5.4-openssl-3.5.5-1";

/** Programs and libraries. */
export interface Judges {
  /** A PKCS#11 module. */
  kryoptic: string;
  openssl: string;
  python: string;
  /** Folder of Bouncy Castle's libraries; null where Java or Maven is missing. */
  bouncyCastle: string | null;
}

/** @returns standard output @throws {Error} with the end of its output if it fails */
export async function run(
  program: string,
  args: string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { ...options, args })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`${program}: ${(text(stdout) + text(stderr)).slice(-400).trim()}`);
  return text(stdout);
}

/** Runs OpenSSL 3.5, whose own configuration is nowhere. */
export const runOpenssl = ({ openssl }: Judges, args: string[]): Promise<string> =>
  run(openssl, args, { env: { OPENSSL_CONF: `${openssl}.cnf` } });

/** Builds what is not there yet: about 15 minutes on two cores. */
export async function prepareJudges(tell: (line: string) => void): Promise<Judges> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME")!, ".cache");
  const folder = join(cache, "dsign-judges", VERSION);
  const judges: Judges = {
    kryoptic: join(folder, "libkryoptic.so"),
    openssl: join(folder, "openssl"),
    python: join(folder, "venv", "bin", "python"),
    bouncyCastle: join(folder, "bouncycastle"),
  };
  const missing = async (path: string) => !await Deno.stat(path).then(() => true, () => false);
  await Deno.mkdir(folder, { recursive: true });
  if (await missing(join(folder, "venv", "ready"))) {
    tell("installing Python packages");
    await run("python3", ["-m", "venv", join(folder, "venv")]);
    await run(judges.python, ["-m", "pip", "install", "--quiet", ...PYTHON]);
    await Deno.writeTextFile(join(folder, "venv", "ready"), "");
  }
  if (await missing(judges.openssl) || await missing(judges.kryoptic)) {
    tell("building OpenSSL and kryoptic: about 15 minutes");
    await build(folder, judges);
  }
  if (await missing(judges.bouncyCastle!)) {
    tell("fetching Bouncy Castle");
    const to = `-DoutputDirectory=${judges.bouncyCastle}`;
    const pom = ["-q", "-B", "-f", join(HERE, "pom.xml"), "dependency:copy-dependencies", to];
    try {
      await run("java", ["-version"]);
      await run("mvn", pom);
    } catch (error) {
      tell(`skipped: Bouncy Castle (${(error as Error).message.split("\n")[0]})`);
      judges.bouncyCastle = null;
    }
  }
  await Deno.writeTextFile(`${judges.openssl}.cnf`, "[req]\ndistinguished_name = dn\n[dn]\n");
  return judges;
}

async function build(folder: string, { kryoptic, openssl, python }: Judges): Promise<void> {
  const work = join(folder, "work");
  await Deno.mkdir(work, { recursive: true });
  for (const name of ["Cargo.toml", "lib.rs"]) {
    await Deno.copyFile(join(HERE, "kryoptic", name), join(work, name));
  }
  const metadata = JSON.parse(
    await run("cargo", ["metadata", "--format-version", "1"], { cwd: work }),
  );
  const { manifest_path } = metadata.packages.find(({ name }: { name: string }) =>
    name === "openssl-src"
  );
  const source = join(work, "openssl");
  await run("cp", ["-r", join(dirname(manifest_path), "openssl"), source]);
  await run("chmod", ["-R", "u+w", source]);
  // the crate leaves out what the legacy provider and loadable modules need
  const without = ["no-shared", "no-module", "no-legacy", "no-tests", "no-docs", "-fPIC"];
  await run("./Configure", without, { cwd: source });
  const jobs = `-j${navigator.hardwareConcurrency}`;
  await run("make", [jobs, "build_generated", "libcrypto.a", "apps/openssl"], { cwd: source });
  const packages = (await run(python, ["-c", "import clang; print(clang.__path__[0])"])).trim();
  const headers = (await run("gcc", ["-print-file-name=include"])).trim();
  await run("cargo", ["build", "--release"], {
    cwd: work,
    env: {
      KRYOPTIC_OPENSSL_SOURCES: source,
      LIBCLANG_PATH: join(packages, "native"),
      OSSL_BINDGEN_CLANG_ARGS: `-I${headers}`,
    },
  });
  await Deno.copyFile(join(work, "target", "release", "libjudge_kryoptic.so"), kryoptic);
  await Deno.copyFile(join(source, "apps", "openssl"), openssl);
  await Deno.chmod(openssl, 0o755);
  await Deno.remove(work, { recursive: true });
}
