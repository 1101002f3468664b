/** The service's configuration: one JSON file. Paths in it are relative to its folder; secrets stand in files of their own. */
import { dirname, isAbsolute, join, resolve } from "node:path";
import * as z from "zod";
import { SetupError } from "./error.ts";

const file = z.string().min(1);
const KeyType = z.enum(["p-256", "p-384", "rsa-2048", "rsa-3072"]);
/** What is no address is looked at no further. */
const anyUrl = z.url({ abort: true });
const id = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "letters, digits, dot, hyphen, underscore");

/** A name such as `localhost` may lead elsewhere; these two addresses do not. */
const isGuarded = ({ protocol, hostname }: URL) =>
  protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "[::1]"].includes(hostname));

/** Where an app may be given a code: https, this machine, or a scheme that it has to itself (RFC 8252 §7). */
const isAppAddress = (text: string) => {
  const address = new URL(text);
  return isGuarded(address) || /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(address.protocol);
};

/** https, or http on this machine; nothing after the host but a path without a slash at its end. */
const url = anyUrl.refine((text) => {
  const address = new URL(text);
  return isGuarded(address) && !address.search && !address.hash && !text.endsWith("/");
}, "must be https://HOST (http: only for 127.0.0.1 and [::1]), without a slash at its end");

/** https, or http on this machine; as its provider gives it. */
const serviceUrl = anyUrl.refine((text) => {
  const address = new URL(text);
  return isGuarded(address) && !address.hash;
}, "must be https://… (http: only for 127.0.0.1 and [::1])");

const Module = z.strictObject({
  module: file.refine(isAbsolute, "must be an absolute path").describe("PKCS#11 library"),
  token: z.string().startsWith("pkcs11:").describe("RFC 7512 URI of the token"),
  pinFile: file,
  env: z.record(z.string(), z.string()).default({}).describe("As SOFTHSM2_CONF"),
});

const KeyFile = z.strictObject({ keyFile: file, passwordFile: file });
const ModuleAuthority = Module.extend({
  certificateFile: file.describe("PEM: the authority's, then those above it"),
});
const secretHash = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hex");

export const OtpConfig = z.strictObject({
  publicUrl: url.describe("As browsers and portals see the service"),
  listen: z.string().regex(/^(.+):(\d{1,5})$/, "must be HOST:PORT").default("127.0.0.1:7795"),
  monitor: z.string().regex(/^(.+):(\d{1,5})$/, "must be HOST:PORT").optional()
    .describe("Where the load balancer and Prometheus ask; not for the outer world"),
  database: z.string().min(1).default("otp.db")
    .describe("A file (SQLite), or postgres://… for several instances"),
  secretFile: file.default("secret"),
  logKeyFile: file.optional()
    .describe("Signs the audit's checkpoints; missing: a key that is derived from the secret"),
  name: z.string().min(1).max(100),
  organization: z.string().min(1).max(64).describe("Stands in certificates"),
  country: z.string().regex(/^[A-Z]{2}$/).default("IN"),
  language: z.enum(["en", "bn", "hi"]).default("en"),
  policy: z.string().regex(/^[0-2](\.(0|[1-9]\d*))+$/, "must be an object identifier")
    .describe("The department's policy, by which its PIN/OTP signatures are told apart"),
  authority: z.union([
    KeyFile.describe("PKCS #12"),
    ModuleAuthority,
    z.strictObject({
      url: url.describe("EST (RFC 7030), as https://ca.example/.well-known/est"),
      certificateFile: file.describe("PEM: the authority's, then those above it"),
      user: z.string().min(1).optional(),
      passwordFile: file.optional().describe("With user: Basic"),
      tokenFile: file.optional().describe("Bearer"),
      tlsAnchorsFile: file.optional().describe("PEM; default: the system's"),
      tlsCertificateFile: file.optional().describe("PEM: who the service is, with tlsKeyFile"),
      tlsKeyFile: file.optional(),
      oneTimeMinutes: z.int().min(1).max(24 * 60).default(30).describe("Longest validity accepted"),
      storedDays: z.int().min(1).max(3650).default(730),
    }).refine(
      ({ user, passwordFile, tokenFile, tlsCertificateFile, tlsKeyFile }) =>
        (user === undefined) === (passwordFile === undefined) &&
        (tlsCertificateFile === undefined) === (tlsKeyFile === undefined) &&
        !(user !== undefined && tokenFile !== undefined),
      "user and passwordFile go together, tlsCertificateFile and tlsKeyFile too; or tokenFile",
    ).describe("An authority elsewhere"),
  ]),
  earlierAuthorities: z.array(z.union([KeyFile, ModuleAuthority])).default([])
    .describe("Keys that were the authority's, newest first: their CRLs and OCSP answers go on"),
  keys: Module.extend({
    processes: z.int().min(1).max(16).default(2).describe("That sign in parallel"),
  }).optional().describe("Default: the embedded key store"),
  keyType: KeyType.default("p-256"),
  otpDigits: z.int().min(6).max(8).default(6).describe("Of an OTP that is sent"),
  clients: z.array(
    z.strictObject({
      id,
      name: z.string().min(1).max(100),
      secretHash: secretHash.optional(),
      public: z.boolean().default(false).describe("An app, which cannot keep a secret"),
      earlierSecretHash: secretHash.optional().describe("While the secret is rotated"),
      redirectUris: z.array(anyUrl).default([]),
      listsPersons: z.boolean().optional()
        .describe("Looks up credentials by a person's name; default: as admin, who sees everyone"),
      admin: z.boolean().default(false),
    }).refine(
      ({ public: isPublic, secretHash, earlierSecretHash }) =>
        isPublic ? !(secretHash ?? earlierSecretHash) : secretHash !== undefined,
      "needs either a secretHash or public: true",
    ).refine(
      ({ public: isPublic, admin, listsPersons }) => !(isPublic && (admin || listsPersons)),
      "is public, so it can be neither admin nor listsPersons",
    ).refine(
      ({ public: isPublic, redirectUris }) =>
        !isPublic || redirectUris.length > 0 && redirectUris.every(isAppAddress),
      "is public, so it needs redirectUris, each https://… or with a scheme such as in.gov.example.app:",
    ).transform(({ listsPersons, public: _, ...rest }) => ({
      ...rest,
      listsPersons: listsPersons ?? rest.admin,
    })),
  ).default([]),
  smtp: z.strictObject({
    host: z.string().min(1),
    port: z.int().min(1).max(65535).default(587),
    tls: z.enum(["implicit", "starttls", "none"]).default("starttls"),
    user: z.string().optional(),
    passwordFile: file.optional(),
    from: z.string().min(3),
  }).optional(),
  sms: z.strictObject({
    method: z.enum(["GET", "POST"]).default("POST"),
    url: z.string().min(8),
    headers: z.record(z.string(), z.string()).default({}),
    headersFile: file.optional().describe("JSON: further headers, for keys"),
    body: z.string().optional(),
    success: z.string().optional(),
  }).optional(),
  tsa: z.url().optional().describe("Timestamp authority (RFC 3161)"),
  log: z.strictObject({
    checkpointFile: file.optional()
      .describe(
        "Files the log's checkpoint; the service does not start where the log does not go on from it",
      ),
    mail: z.string().min(3).optional().describe("Address that gets checkpoints; needs smtp"),
    url: serviceUrl.optional().describe("Takes checkpoints by POST"),
    timestamp: z.boolean().default(false).describe("By tsa, beside checkpointFile"),
    witness: z.strictObject({
      url: serviceUrl.describe("Where add-checkpoint is (c2sp.org/tlog-witness)"),
      key: z.string().min(1),
    }).optional(),
    minutes: z.int().min(1).max(24 * 60).default(60),
  }).optional().describe("Where checkpoints of the audit's log are filed"),
  esp: z.strictObject({
    url: serviceUrl.describe("Where browsers bring requests (eSign API 2.1), as the provider says"),
    aspId: z.string().min(1).max(100).describe("The portal's name at the provider"),
    key: z.union([
      KeyFile.describe("PKCS #12"),
      Module.extend({ certificateFile: file.describe("PEM") }),
    ], "must hold keyFile and passwordFile, or module, token, pinFile and certificateFile")
      .describe("Signs the requests; its certificate is registered with the provider"),
    certificatesFile: file.describe("PEM: the provider's certificates for its answers"),
    anchorsFile: file.describe("PEM: authorities that signatories' certificates must come from"),
    auth: z.enum(["otp", "fingerprint", "iris"]).default("otp"),
    origins: z.array(
      z.literal("null").or(
        anyUrl.refine((text) => new URL(text).origin === text, "must be an origin"),
      ),
    )
      .default([]).describe(
        "Web origins besides url's from which browsers bring answers; null: hidden ones",
      ),
  }).optional().describe("An eSign service provider"),
});
export type OtpConfig = z.output<typeof OtpConfig>;

/**
 * Reads the configuration. Its paths come back absolute.
 *
 * @throws {SetupError} saying which setting of which file is wrong
 */
export async function readOtpConfig(path: string): Promise<OtpConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await withFile(path, () => Deno.readTextFile(path)));
  } catch (error) {
    if (error instanceof SetupError) {
      throw new SetupError(`${error.message} \`dsign otp-service init\` makes a configuration.`);
    }
    throw new SetupError(`${path} is not JSON: ${(error as Error).message}`);
  }
  const { data, error } = OtpConfig.safeParse(value);
  if (error) {
    const [issue] = error.issues;
    const setting = issue.code === "unrecognized_keys"
      ? `unknown setting "${[...issue.path, issue.keys[0]].join(".")}"`
      : `"${issue.path.join(".")}": ${issue.message}`;
    throw new SetupError(`The configuration ${path} is wrong: ${setting}.`);
  }
  const folder = dirname(resolve(path));
  const at = (name: string) => isAbsolute(name) ? name : join(folder, name);
  const absolute = <T extends object>(part: T): T =>
    Object.fromEntries(
      Object.entries(part).map(([name, each]) => [name, name.endsWith("File") ? at(each) : each]),
    ) as T;
  return {
    ...absolute(data),
    database: /^postgres(ql)?:/.test(data.database) ? data.database : at(data.database),
    authority: absolute(data.authority),
    earlierAuthorities: data.earlierAuthorities.map(absolute),
    ...data.keys && { keys: absolute(data.keys) },
    ...data.log && { log: absolute(data.log) },
    ...data.smtp && { smtp: absolute(data.smtp) },
    ...data.sms && { sms: absolute(data.sms) },
    ...data.esp && { esp: { ...absolute(data.esp), key: absolute(data.esp.key) } },
  };
}

/**
 * Changes a configuration, as its file has it.
 *
 * @throws {SetupError} where it would be wrong afterwards
 */
export async function changeOtpConfig(
  path: string,
  change: (config: z.input<typeof OtpConfig>) => void,
): Promise<void> {
  await readOtpConfig(path);
  const config = JSON.parse(await Deno.readTextFile(path));
  change(config);
  const { error } = OtpConfig.safeParse(config);
  if (error) throw new SetupError(`${path}: ${error.issues[0].message}.`);
  await replaceFile(path, JSON.stringify(config, null, 2) + "\n");
}

/** Gives files the owner of another, as where an administrator made them for the service's user. */
export async function sameOwner(path: string, files: readonly string[]): Promise<void> {
  const { uid, gid } = await Deno.stat(path);
  if (uid === null || uid === Deno.uid()) return;
  for (const file of files) await Deno.chown(file, uid, gid);
}

/** Puts a file in the place of another, as a whole; its owner and its mode stay, and links to it. */
export async function replaceFile(link: string, text: string): Promise<void> {
  const path = await Deno.realPath(link);
  const { mode } = await Deno.stat(path);
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.new`;
  try {
    const permissions = { createNew: true, mode: (mode ?? 0o600) & 0o777 };
    await Deno.writeTextFile(temporary, text, permissions);
    await sameOwner(path, [temporary]);
    {
      using file = await Deno.open(temporary, { write: true });
      await file.sync();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may not have come to be
    throw error;
  }
}

/** The name of the service's log: `sign.example/log`. */
export const logOrigin = (publicUrl: string): string =>
  `${publicUrl.replace(/^https?:\/\//, "")}/log`;

/**
 * Does something with a file that the configuration names.
 *
 * @throws {SetupError} saying which file, and what is wrong with it
 */
export async function withFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { NotFound, IsADirectory, PermissionDenied, NotADirectory } = Deno.errors;
    if (error instanceof NotFound || error instanceof NotADirectory) {
      throw new SetupError(`${path} is missing.`);
    }
    if (error instanceof IsADirectory) throw new SetupError(`${path} is a folder, not a file.`);
    if (error instanceof PermissionDenied) {
      throw new SetupError(`${path}: this user has no permission to read it.`);
    }
    throw error;
  }
}

/**
 * A secret that stands alone in a file, without the line's end.
 *
 * @throws {SetupError} where it is missing or others may read it
 */
export const readSecretFile = (path: string): Promise<string> =>
  withFile(path, async () => {
    const { mode } = await Deno.stat(path);
    const text = await Deno.readTextFile(path);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new SetupError(`${path} can be read by others: chmod 600 ${path}`);
    }
    return text.replace(/\r?\n$/, "");
  });
