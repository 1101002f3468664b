/**
 * The administrator's policy: one file for the whole machine, whose settings override each person's configuration.
 * This file generates `policy.schema.json`: `deno run -A settings/policy_file.ts`.
 */
import { dirname, win32 } from "node:path";
import { getLogger } from "@logtape/logtape";
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";
import { Config, Origin, parseSettings } from "./config.ts";
import { sddlTrust, type Trust } from "./sddl.ts";

const log = getLogger(["dsign", "policy"]);
const { allowedOrigins, modules, searchModules, ports, timestampAuthority, logLevel } =
  Config.shape;

/** Address of the release manifest, and the keys that sign it. */
export const UpdateSource = z.strictObject({
  manifest: z.url({ protocol: /^https?$/ })
    .describe("Address of the signed manifest; {channel} in it stands for the channel"),
  keys: z.array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/)).min(1)
    .describe("Ed25519 public keys, 32 bytes in Base64: a manifest signed by any of them counts"),
});
export type UpdateSource = z.output<typeof UpdateSource>;

/** The settings of a policy. Absent ones are left to each person. */
export const Policy = z.strictObject({
  $schema: z.string().optional(),
  allowedOrigins: allowedOrigins.unwrap().optional()
    .describe("Portals that need not ask the person for a grant"),
  otherOrigins: z.enum(["ask", "refuse"]).optional()
    .describe("What happens to all other sites; default: the person is asked"),
  trial: z.literal("off").optional()
    .describe("off: no trial agent (`dsign trial`) starts on this computer"),
  legacyOrigins: z.array(Origin).optional()
    .describe("Portals that may ask for bare signatures with SHA-1, which is refused elsewhere"),
  modules: modules.unwrap().optional().describe("PKCS#11 modules, instead of the person's own"),
  searchModules: searchModules.unwrap().optional()
    .describe("false: no other modules than those listed"),
  windowsStore: Config.shape.windowsStore.unwrap().optional().describe(
    "On Windows, which keys of the certificate store are used: off, hardware or all",
  ),
  windowsPin: Config.shape.windowsPin.unwrap().optional()
    .describe("Where the PIN of such a key is typed: in Windows' dialog, or in D-Sign's window"),
  ports: ports.unwrap().optional().describe("Tried in turn, instead of the usual ones"),
  timestampAuthority: timestampAuthority.unwrap().optional()
    .describe("RFC 3161 time-stamping service"),
  intranetServices: Config.shape.intranetServices.unwrap().optional().describe(
    "Whether authorities' services at private addresses are asked about revocation too",
  ),
  departmentalPolicies: Config.shape.departmentalPolicies.unwrap().optional().describe(
    "Policies by which departments' PIN/OTP signatures are told apart, instead of the person's own",
  ),
  postQuantum: Config.shape.postQuantum.unwrap().optional()
    .describe("Whether post-quantum keys (ML-DSA) may sign, instead of the person's own choice"),
  answerLimit: Config.shape.answerLimit.unwrap().optional()
    .describe("Seconds after which a question lapses at the latest, instead of the person's own"),
  logLevel: logLevel.unwrap().optional().describe("The least that is logged"),
  updateChannel: Config.shape.updateChannel.unwrap().optional()
    .describe("Which versions `dsign update check` looks for"),
  updateSource: UpdateSource.optional()
    .describe("Where `dsign update check` looks, instead of where this build was published"),
});
export type Policy = z.output<typeof Policy>;

/** The effective settings of this person on this machine. */
export interface Settings extends Config {
  otherOrigins: "ask" | "refuse";
  legacyOrigins: readonly string[];
}

/** The policy, as found. */
export interface FoundPolicy {
  /** Empty if there is none. */
  policy: Policy;
  /** Why an existing file is ignored, as a sentence. */
  ignored: string | null;
}

/** Path of the policy, in a folder to which only administrators can write. */
export function policyPath(
  env: (name: string) => string | undefined,
  os: typeof Deno.build.os = Deno.build.os,
): string {
  if (os === "windows") {
    return win32.join(env("ProgramData") ?? "C:\\ProgramData", "dsign", "policy.json");
  }
  return os === "darwin"
    ? "/Library/Application Support/dsign/policy.json"
    : "/etc/dsign/policy.json";
}

/**
 * Reads the policy. If the administrator's policy cannot be understood, or others could have changed it, the program does
 * not start: an accident must not allow what the policy forbids. A file that belongs to anybody else is not a policy and
 * is ignored.
 *
 * @param administrator user id of the administrator; not used on Windows
 * @throws {DsignError} `invalid_params`, with the fault; `storage_failed` if it cannot be read
 */
export async function readPolicy(path: string, administrator = 0): Promise<FoundPolicy> {
  let text: string;
  let trust: Trust;
  try {
    using file = await Deno.open(path);
    trust = await trustIn(path, file, administrator);
    text = await new Response(file.readable).text();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { policy: {}, ignored: null };
    throw new DsignError("storage_failed", `The policy ${path} cannot be read.`, {
      cause: String(error),
    });
  }
  if (trust === "foreign") {
    const ignored = `The file ${path} is not an administrator's and is not honoured.`;
    log.warn(ignored);
    return { policy: {}, ignored };
  }
  if (trust === "writable") {
    throw new DsignError(
      "invalid_params",
      `Others than the administrator can change the policy ${path}. ` +
        "Remove their write permission on the file and its folder.",
    );
  }
  return { policy: parseSettings(Policy, text, `The policy ${path}`), ignored: null };
}

/** The effective settings: the policy's if it has one, else the person's. */
export function underPolicy(config: Config, policy: Policy): Settings {
  const { $schema: _, ...said } = policy;
  return { otherOrigins: "ask", legacyOrigins: [], ...config, ...said };
}

async function trustIn(path: string, file: Deno.FsFile, administrator: number): Promise<Trust> {
  if (Deno.build.os === "windows") return sddlTrust(await sddlOf(path));
  const its = await file.stat();
  if (its.uid !== administrator) return "foreign";
  const folder = await Deno.stat(dirname(path));
  const isClosed = ({ uid, gid, mode }: Deno.FileInfo) =>
    (uid === administrator || uid === 0) && (mode! & 0o002) === 0 &&
    ((mode! & 0o020) === 0 || gid === 0);
  return isClosed(its) && isClosed(folder) ? "administrator" : "writable";
}

/** Owner and access list of a file as SDDL, from PowerShell. */
async function sddlOf(path: string): Promise<string> {
  const system = win32.join(Deno.env.get("SystemRoot") ?? "C:\\Windows", "System32");
  const { success, stdout } = await new Deno.Command(
    win32.join(system, "WindowsPowerShell", "v1.0", "powershell.exe"),
    {
      // Pass the path in the environment, so that it needs no quoting.
      args: [
        "-NoProfile",
        "-NonInteractive",
        "-Command",
        "(Get-Acl -LiteralPath $env:DSIGN_FILE).Sddl",
      ],
      env: { DSIGN_FILE: path },
      stdin: "null",
      stderr: "null",
    },
  ).output();
  if (!success) throw new Error("Get-Acl failed");
  return new TextDecoder().decode(stdout).trim();
}

/** The schema as `settings/policy.schema.json` holds it. */
export function policySchemaText(): string {
  const schema = z.toJSONSchema(Policy, { io: "input" });
  return JSON.stringify({ title: "Policy of D-Sign", ...schema }, null, 2) + "\n";
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL("policy.schema.json", import.meta.url), policySchemaText());
}
