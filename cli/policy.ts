import { dirname, join } from "node:path";
import { type Browser, BROWSERS, linuxPolicy, macPolicy, windowsPolicy } from "./browser_policy.ts";
import { isWebOrigin } from "../agent/origins.ts";
import { replaceFile } from "../settings/files.ts";
import { FileError, printJson, UsageError } from "./failure.ts";
import { type AddCommand, repeated } from "./command.ts";

interface Options {
  browser?: Browser[];
  os: "linux" | "windows" | "darwin";
  output?: string;
  remove?: boolean;
  json?: boolean;
}

/** `dsign policy` */
export const policyCommand: AddCommand = (program, _, action) => {
  program.command("policy")
    .description("Write browser policies that let portals reach D-Sign without a prompt.")
    .argument("[origins...]", "portals, e.g. https://portal.example; they replace earlier ones")
    .option(
      "--browser <name>",
      `one of ${BROWSERS.join(", ")}; repeatable (default: all)`,
      repeated,
    )
    .option("--os <name>", "linux, windows or darwin (default: this system)")
    .option("--output <folder>", "write the files here instead of where browsers look")
    .option("--remove", "remove the policies")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `
On Linux this writes the files where the browsers look (run it as root). For Windows it writes
dsign.reg (for regedit or group policy), for macOS the profile dsign.mobileconfig.

Examples:
  sudo dsign policy https://portal.example https://upms.example
  dsign policy --os windows --output . https://portal.example`,
    )
    .action(action(async (origins: string[], options: Partial<Options>) => {
      const os = options.os ?? Deno.build.os;
      const browsers = options.browser ?? [...BROWSERS];
      check(origins, browsers, os, options);
      const written = os === "linux"
        ? await writeLinux(browsers, origins, options.output)
        : [await writeOne(os, browsers, origins, options.output ?? ".")];
      if (options.json) return printJson({ files: written });
      for (const { path, removed } of written) {
        console.log(`${removed ? "Removed" : "Wrote"} ${path}`);
      }
    }));
};

function check(
  origins: string[],
  browsers: string[],
  os: string,
  { remove }: Partial<Options>,
): void {
  if (!["linux", "windows", "darwin"].includes(os)) {
    throw new UsageError(`--os must be linux, windows or darwin; got ${os}.`);
  }
  const unknown = browsers.find((name) => !(BROWSERS as readonly string[]).includes(name));
  if (unknown) {
    throw new UsageError(`--browser must be one of ${BROWSERS.join(", ")}; got ${unknown}.`);
  }
  if (remove && origins.length > 0) throw new UsageError("--remove takes no portals.");
  if (!remove && origins.length === 0) throw new UsageError("Name at least one portal.");
  for (const origin of origins) {
    if (!isWebOrigin(origin)) {
      throw new UsageError(`${origin} is not an origin (expected e.g. https://portal.example).`);
    }
  }
}

interface Written {
  path: string;
  removed: boolean;
}

async function writeLinux(
  browsers: Browser[],
  origins: string[],
  output: string | undefined,
): Promise<Written[]> {
  const written: Written[] = [];
  for (const browser of browsers) {
    const target = linuxPolicy(browser, origins, null).path;
    const path = output === undefined ? target : join(output, target);
    try {
      const present = await Deno.readTextFile(path).catch((error) => {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      });
      const { text } = linuxPolicy(browser, origins, present);
      if (text !== null) await write(path, text);
      else if (present !== null) await Deno.remove(path);
      else continue;
      written.push({ path, removed: text === null });
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw new UsageError(`${path} is not JSON. It was not changed.`);
      }
      throw new FileError(path, error);
    }
  }
  return written;
}

async function writeOne(
  os: "windows" | "darwin" | string,
  browsers: Browser[],
  origins: string[],
  output: string,
): Promise<Written> {
  const [name, text] = os === "windows"
    // regedit needs a byte order mark to read UTF-8
    ? ["dsign.reg", "\ufeff" + windowsPolicy(browsers, origins)]
    : ["dsign.mobileconfig", macPolicy(browsers, origins)];
  const path = join(output, name);
  try {
    await write(path, text);
  } catch (error) {
    throw new FileError(path, error);
  }
  return { path, removed: false };
}

/** Readable by everyone, because browsers run as the person. */
async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await replaceFile(path, text, 0o644);
}
