/** The agent's folders, and the settings of a person or an administrator. */
import { dirname, isAbsolute, join } from "node:path";
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";
import { Scope } from "../protocol/methods.ts";

export interface Paths {
  /** The configuration file, which need not exist. */
  config: string;
  /** Folder of the agent's state. */
  state: string;
  /** The agent's key. */
  identity: string;
  grants: string;
  /** The agent's log. */
  log: string;
  /** The person's chosen words (phrase.ts). */
  phrase: string;
  /** Folder of the key files that the person added in the console. */
  keyFiles: string;
  /** Folder of the audit log. */
  audit: string;
  /** Folder of the journals of batches. */
  batches: string;
  /** Folder of the certificate for wss://. */
  tls: string;
  /** Folder for documents while they are open. */
  spool: string;
}

/**
 * Paths by the convention of the system: XDG Base Directory on Linux, Application Support on macOS, AppData on Windows.
 *
 * @throws {DsignError} `storage_failed` if the environment names no home
 */
export function findPaths(
  env: (name: string) => string | undefined,
  os: typeof Deno.build.os = Deno.build.os,
): Paths {
  const folder = (name: string, ...otherwise: string[]) => {
    const set = env(name);
    // XDG: "If an implementation encounters a relative path it should consider the path invalid and ignore it."
    if (set && isAbsolute(set)) return set;
    const home = env(os === "windows" ? "USERPROFILE" : "HOME");
    if (!home) {
      throw new DsignError("storage_failed", "HOME is not set, so the home folder is unknown.");
    }
    return join(home, ...otherwise);
  };
  const [config, state] = os === "windows"
    ? [folder("APPDATA", "AppData", "Roaming"), folder("LOCALAPPDATA", "AppData", "Local")]
    : os === "darwin"
    ? Array(2).fill(folder("", "Library", "Application Support"))
    : [folder("XDG_CONFIG_HOME", ".config"), folder("XDG_STATE_HOME", ".local", "state")];
  return {
    config: join(config, "dsign", "config.json"),
    state: join(state, "dsign"),
    identity: join(state, "dsign", "identity.json"),
    grants: join(state, "dsign", "origins.json"),
    log: join(state, "dsign", "agent.log"),
    phrase: join(state, "dsign", "phrase.txt"),
    keyFiles: join(config, "dsign", "keys"),
    audit: join(state, "dsign", "audit"),
    batches: join(state, "dsign", "batches"),
    tls: join(state, "dsign", "tls"),
    spool: join(state, "dsign", "spool"),
  };
}

const command = z.array(z.string().min(1)).min(1);

const AS_BROWSERS_SEND_IT = "must be an origin as browsers send it, as in https://portal.example";

/** An origin as browsers send it, exactly (RFC 6454 §6.2); those of browser extensions too. */
export const Origin = z.string()
  .regex(/^[a-z][a-z0-9+.-]*:\/\/[^/?#\s*A-Z]+$/, AS_BROWSERS_SEND_IT)
  // A web origin has only one spelling: no default port, no Unicode.
  .refine(
    (value) => !/^https?:/.test(value) || URL.parse(value)?.origin === value,
    AS_BROWSERS_SEND_IT,
  );

/** A file that holds one secret and that only its owner can read. */
const secretFile = z.string().refine(isAbsolute, "must be an absolute path");

/**
 * https, or http at an address of this machine; without a slash at the end. `localhost` has two addresses, and another
 * user's program may listen at the one where the service does not.
 */
const ServiceUrl = z.url().refine((text) => {
  const { protocol, hostname, search, hash } = new URL(text);
  const here = ["127.0.0.1", "[::1]"].includes(hostname);
  return (protocol === "https:" || (protocol === "http:" && here)) && !search && !hash &&
    !text.endsWith("/");
}, "must be as https://sign.example/csc/v2, without a slash at its end");

/** The browser comes back to this machine (RFC 8252 §7.3). */
const LoopbackUrl = z.url().regex(
  /^http:\/\/127\.0\.0\.1:\d+\/[\w/-]*$/,
  "must be as http://127.0.0.1:7797/back",
);

/** Signing services with the Cloud Signature Consortium's API. */
const Remote = z.strictObject({
  name: z.string().min(1).max(60).describe("Shown to the person"),
  url: ServiceUrl,
  login: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("basic"), user: z.string().min(1), passwordFile: secretFile }),
    z.strictObject({ type: z.literal("bearer"), tokenFile: secretFile }),
    z.strictObject({
      type: z.literal("browser"),
      clientId: z.string().min(1),
      clientSecretFile: secretFile.optional(),
      redirectUri: LoopbackUrl,
    }),
  ]).describe("How the person signs in there; the PIN is asked for at each signature"),
  userID: z.string().min(1).optional()
    .describe("Whose credentials, where the login is not the person's own"),
});

export const Config = z.strictObject({
  consent: z.enum(["window", "pinentry", "terminal"]).default("window")
    .describe("How the person is asked"),
  language: z.enum(["en", "bn", "hi"]).optional().describe("Default: the system's, else English"),
  browser: command.optional()
    .describe("Command that shows an address; it stands for %s, or comes last"),
  pinentry: command.default(["pinentry"]).describe("Command of the pinentry program"),
  modules: z.array(z.strictObject({
    name: z.string().min(1).optional(),
    path: z.string().refine(isAbsolute, "must be an absolute path"),
    initArgs: z.string().optional().describe("CK_C_INITIALIZE_ARGS.pReserved"),
  })).default([]).describe("PKCS#11 modules beside those that are found"),
  searchModules: z.boolean().default(true).describe("Whether to look for known modules"),
  windowsStore: z.enum(["off", "hardware", "all"]).default("hardware").describe(
    "On Windows, which keys of the certificate store are used beside those of PKCS#11 modules",
  ),
  windowsPin: z.enum(["windows", "window"]).default("windows").describe(
    "Where the PIN of such a key is typed: in Windows' own dialog, or in D-Sign's window, which only " +
      "Microsoft's smart-card providers allow",
  ),
  pkcs12: z.array(z.string().refine(isAbsolute, "must be an absolute path")).default([]).describe(
    "Key files, or folders of such",
  ),
  remote: z.array(Remote).default([]).describe("Remote signing services (CSC API 1 or 2)"),
  ports: z.array(z.int().min(0).max(65535)).min(1).optional().describe("Tried in turn"),
  securePorts: z.array(z.int().min(0).max(65535)).min(1).optional()
    .describe("Tried in turn, for pages that need TLS"),
  answerLimit: z.int().min(120).max(7200).default(1800).describe(
    "Seconds after which a question lapses at the latest: the usual two minutes grow with the " +
      "documents, the page's wish and the person's “More time” up to it",
  ),
  keepLogin: z.int().min(0).max(24 * 3600 * 1000).default(0)
    .describe("Milliseconds for which a token stays unlocked after a PIN"),
  allowedOrigins: z.array(z.strictObject({ origin: Origin, scopes: z.array(Scope).min(1) }))
    .default([]).describe("Sites that need not ask the person for a grant"),
  timestampAuthority: z.url({ protocol: /^https?$/ }).optional()
    .describe("RFC 3161 time-stamping service"),
  intranetServices: z.boolean().default(false).describe(
    "Whether authorities' services at private addresses are asked about revocation too",
  ),
  departmentalPolicies: z.array(
    z.string().regex(/^[0-2](\.(0|[1-9]\d*))+$/, "must be an object identifier"),
  )
    .optional().describe(
      "Policies of departments' own PIN/OTP services, to tell their signatures apart",
    ),
  postQuantum: z.boolean().default(false).describe(
    "Whether post-quantum keys (ML-DSA) may sign; their signatures are always verified",
  ),
  logLevel: z.enum(["error", "warning", "info", "debug"]).default("warning")
    .describe("The least that is logged"),
  updateChannel: z.enum(["stable", "testing", "none"]).default("stable")
    .describe("Which versions `dsign update check` looks for"),
});
export type Config = z.output<typeof Config>;

/**
 * Reads the configuration; without a file, the defaults apply.
 *
 * @throws {DsignError} `invalid_params`, saying which setting of which file is wrong; `storage_failed`
 */
export async function readConfig(path: string): Promise<Config> {
  let text;
  let isOpen;
  try {
    using file = await Deno.open(path);
    // It names libraries to be loaded. A group's right to write stays: on many systems each user is a group. On Windows
    // the mode says nothing about other users.
    const stats = [await file.stat(), await Deno.stat(dirname(path))];
    isOpen = Deno.build.os !== "windows" &&
      stats.some(({ mode }) => mode !== null && (mode & 0o002) !== 0);
    text = await new Response(file.readable).text();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return Config.parse({});
    throw new DsignError("storage_failed", `The configuration ${path} cannot be read.`, {
      cause: String(error),
    });
  }
  if (isOpen) {
    throw new DsignError(
      "invalid_params",
      `Every user of this computer can change the configuration ${path}. ` +
        "Remove their write permission on the file and its folder.",
    );
  }
  return parseSettings(Config, text, `The configuration ${path}`);
}

/**
 * Reads the text of a file of settings.
 *
 * @param what names the file at the start of a sentence
 * @throws {DsignError} `invalid_params`, saying which setting is wrong
 */
export function parseSettings<T>(schema: z.ZodType<T>, text: string, what: string): T {
  const wrong = (why: string) => new DsignError("invalid_params", `${what} is wrong: ${why}.`);
  let value;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, "")); // editors on Windows write a byte order mark
  } catch (error) {
    throw wrong(`it is not JSON (${(error as Error).message})`);
  }
  const { data, error } = schema.safeParse(value);
  if (!error) return data;
  const [issue] = error.issues;
  if (issue.code === "unrecognized_keys") {
    throw wrong(`unknown setting "${[...issue.path, issue.keys[0]].join(".")}"`);
  }
  throw wrong(`"${issue.path.join(".")}": ${issue.message}`);
}

/**
 * Creates the state folder, which only this user can read.
 *
 * @throws {DsignError} `storage_failed`
 */
export async function makeStateFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    if (Deno.build.os !== "windows") await Deno.chmod(path, 0o700);
  } catch (error) {
    throw new DsignError("storage_failed", `The folder ${path} cannot be used.`, {
      cause: String(error),
    });
  }
}

/** The configured language; else the system's, if D-Sign speaks it; else English. */
export function languageOf(
  config: Pick<Config, "language">,
  env: (name: string) => string | undefined,
): string {
  const system = (env("LC_ALL") || env("LC_MESSAGES") || env("LANG") || navigator.language)
    .slice(0, 2).toLowerCase();
  return config.language ?? (["en", "bn", "hi"].includes(system) ? system : "en");
}
