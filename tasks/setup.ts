/**
 * `deno task setup [demo|test|windows]`: makes sure that the system programs of the demo or the tests are installed.
 *
 * On Debian and Ubuntu it installs missing packages with apt, as root or with a sudo that needs no password; elsewhere it
 * only names them. It looks for files, so it takes no time if everything is installed. It also checks that the runtime is
 * the one that D-Sign was tested with.
 */
import { runtime, runtimeProblem } from "./runtime.ts";

/** A Debian package and what shows that it, or its like on another system, is installed: any one of the files. */
interface Package {
  name: string;
  /** Programs are sought in the PATH, `*.so` and `*.so.N` below the library folders, absolute paths as they are. */
  provides: string[];
}

const DEMO: Package[] = [
  { name: "softhsm2", provides: ["softhsm2-util"] },
  // pkcs11-tool puts the certificates onto SoftHSM's tokens
  { name: "opensc", provides: ["pkcs11-tool"] },
  { name: "openssl", provides: ["openssl"] },
  // pdfsig checks the sanction's signatures
  { name: "poppler-utils", provides: ["pdfsig"] },
];

const TEST: Package[] = [
  ...DEMO,
  { name: "libnss3", provides: ["libsoftokn3.so", "nss/libsoftokn3.so"] },
  { name: "libnss3-tools", provides: ["certutil"] },
  { name: "libnss3-dev", provides: ["/usr/include/nss/pkcs11t.h"] },
  { name: "opencryptoki", provides: ["pkcsslotd"] },
  // a TPM in software, and its module
  { name: "swtpm", provides: ["swtpm"] },
  { name: "libtpm2-pkcs11-1", provides: ["pkcs11/libtpm2_pkcs11.so"] },
  // readers of cards in software, with their service
  { name: "iproute2", provides: ["ip"] },
  { name: "pcscd", provides: ["pcscd"] },
  { name: "vsmartcard-vpcd", provides: ["/usr/lib/pcsc/drivers/serial/libifdvpcd.so"] },
  // OpenSC's own module does not start without it
  { name: "libpcsclite1", provides: ["libpcsclite.so.1"] },
  { name: "p11-kit", provides: ["p11-kit"] },
  { name: "p11-kit-modules", provides: ["pkcs11/p11-kit-trust.so"] },
  { name: "gcc", provides: ["gcc"] },
  { name: "libc6-dev", provides: ["/usr/include/stdio.h"] },
  { name: "gpgsm", provides: ["gpgsm"] },
  { name: "gpg-agent", provides: ["gpg-agent"] },
  { name: "libxml2-utils", provides: ["xmllint"] },
  { name: "xmlsec1", provides: ["xmlsec1"] },
  { name: "qpdf", provides: ["qpdf"] },
  { name: "mupdf-tools", provides: ["mutool"] },
  // imports the npm package, and runs an example of a portal
  { name: "nodejs", provides: ["node"] },
  // sets a program's clock
  { name: "faketime", provides: ["faketime"] },
  // run the guide's order by PIN and OTP
  { name: "curl", provides: ["curl"] },
  { name: "jq", provides: ["jq"] },
  { name: "chromium", provides: ["chromium", "chromium-browser", "google-chrome"] },
  { name: "firefox-esr", provides: ["firefox-esr", "firefox"] },
  { name: "webkit2gtk-driver", provides: ["WebKitWebDriver"] },
  // a browser in a sandbox
  { name: "bubblewrap", provides: ["bwrap"] },
  // a browser that is seen asks for a permission
  { name: "xvfb", provides: ["Xvfb"] },
  { name: "pinentry-tty", provides: ["pinentry-tty"] },
  { name: "pinentry-curses", provides: ["pinentry-curses"] },
  { name: "tmux", provides: ["tmux"] },
  { name: "desktop-file-utils", provides: ["desktop-file-validate"] },
  { name: "systemd", provides: ["systemd-analyze"] },
  { name: "rpm", provides: ["rpmbuild"] },
  { name: "man-db", provides: ["man"] },
  { name: "shellcheck", provides: ["shellcheck"] },
  { name: "postgresql", provides: ["pg_ctlcluster"] },
  { name: "nginx-light", provides: ["nginx"] },
];

/** To run programs made for Windows. */
const WINDOWS: Package[] = [
  { name: "wine", provides: ["wine"] },
  { name: "wine64", provides: ["/usr/lib/wine/wine64"] },
  { name: "gcc-mingw-w64-x86-64", provides: ["x86_64-w64-mingw32-gcc"] },
];

const LEVELS = { demo: DEMO, test: TEST, windows: WINDOWS };

const decoder = new TextDecoder();

/** For people; stdout belongs to the caller's result. */
function say(line: string): void {
  console.error(line);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

async function folders(): Promise<{ programs: string[]; libraries: string[] }> {
  const path = (Deno.env.get("PATH") ?? "").split(Deno.build.os === "windows" ? ";" : ":");
  const libraries = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib"];
  try {
    for await (const entry of Deno.readDir("/usr/lib")) {
      if (entry.isDirectory && entry.name.includes("-linux-")) {
        libraries.push(`/usr/lib/${entry.name}`);
      }
    }
  } catch {
    // not a Unix: no library is found, and apt is not offered
  }
  return { programs: [...path, "/usr/sbin", "/sbin"].filter((each) => each !== ""), libraries };
}

/** Path of a library, named relative to a library folder; null if it is not installed. */
export async function findLibrary(name: string): Promise<string | null> {
  for (const folder of (await folders()).libraries) {
    if (await exists(`${folder}/${name}`)) return `${folder}/${name}`;
  }
  return null;
}

/** The names of those packages of `level` that are not installed. */
export async function missing(level: keyof typeof LEVELS): Promise<string[]> {
  const { programs, libraries } = await folders();
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  const found = await Promise.all(LEVELS[level].map(async ({ provides }) => {
    const paths = provides.flatMap((file) =>
      file.startsWith("/")
        ? [file]
        : (/\.so(?:\.\d+)?$/.test(file) ? libraries : programs).map((folder) =>
          `${folder}/${file}${suffix}`
        )
    );
    return (await Promise.all(paths.map(exists))).includes(true);
  }));
  return LEVELS[level].filter((_, index) => !found[index]).map(({ name }) => name);
}

async function run(command: string[]): Promise<{ success: boolean; output: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command[0]!, {
      args: command.slice(1),
      env: { DEBIAN_FRONTEND: "noninteractive" },
      stdin: "null",
    }).output();
    return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { success: false, output: "not found" };
    throw error;
  }
}

/** How to run apt-get with the rights it needs; null if that needs a person. */
async function aptGet(): Promise<string[] | null> {
  if (Deno.build.os !== "linux" || !(await run(["apt-get", "--version"])).success) return null;
  if (Deno.uid() === 0) return ["apt-get"];
  // sudo drops the environment, so what apt must know is set again behind it
  const sudo = ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"];
  return (await run([...sudo, "true"])).success ? [...sudo, "apt-get"] : null;
}

/**
 * Installs the packages that `level` needs, as far as possible without a prompt.
 *
 * @returns the names of the packages that are still missing
 */
export async function ensure(level: keyof typeof LEVELS): Promise<string[]> {
  const wanted = await missing(level);
  if (wanted.length === 0) return [];
  const apt = await aptGet();
  if (apt !== null) {
    const install = (names: string[]) =>
      run([
        ...apt,
        "-o",
        "DPkg::Lock::Timeout=120",
        "install",
        "-y",
        "--no-install-recommends",
        ...names,
      ]);
    say(`Installing by apt: ${wanted.join(" ")}`);
    if (!(await install(wanted)).success) {
      // the package lists are missing or old
      say("Updating the package lists");
      await run([...apt, "-o", "DPkg::Lock::Timeout=120", "update"]);
      if (!(await install(wanted)).success) {
        // one that this release does not have must not keep the others out
        for (const name of wanted) {
          const { success, output } = await install([name]);
          if (!success) {
            say(`apt could not install ${name}: ${output.trim().split("\n").at(-1) ?? ""}`);
          }
        }
      }
    }
  }
  const left = await missing(level);
  if (left.length > 0) {
    say(
      `Missing: ${left.join(" ")}. ` +
        (apt === null && Deno.build.os === "linux"
          ? `Install by: sudo apt-get install ${left.join(" ")}`
          : "These are the Debian packages' names."),
    );
  }
  return left;
}

if (import.meta.main) {
  const level = Deno.args[0] ?? "test";
  if (level !== "demo" && level !== "test" && level !== "windows") {
    say("Usage: deno task setup [demo|test|windows]");
    Deno.exit(2);
  }
  const problem = runtimeProblem(await runtime());
  if (problem !== null) say(problem);
  if ((await ensure(level)).length > 0 || problem !== null) Deno.exit(1);
}
