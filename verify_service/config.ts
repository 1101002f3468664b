/** The service's configuration: one JSON file. Paths in it are relative to its folder. */
import { dirname, resolve } from "node:path";
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";

const GiB = 1024 ** 3;
const isLoopback = (text: string) => /^(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}$/.test(text);

export const VerifyConfig = z.strictObject({
  listen: z.string().refine(
    (text) => isLoopback(text) || /^unix:./.test(text),
    "must be 127.0.0.1:PORT or unix:PATH: a proxy is for the outer world",
  ).default("127.0.0.1:7797"),
  trust: z.record(
    z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "letters, digits, dot, hyphen, underscore"),
    z.string().min(1),
  ).refine((sets) => Object.keys(sets).length > 0, "must name a folder of root certificates"),
  online: z.boolean().default(true).describe("Ask authorities about revocation"),
  intranetServices: z.boolean().default(false)
    .describe("Also those in this computer's own network"),
  timestampAuthority: z.url().optional().describe("RFC 3161, for extending"),
  departmentalPolicies: z.array(z.string().regex(/^[0-2](\.(0|[1-9]\d*))+$/)).default([]),
  readers: z.int().min(1).max(256).optional().describe("Processes; default: one a core"),
  requests: z.int().min(1).max(10_000).optional().describe("At a time; default: 8 a reader"),
  uploadBytes: z.int().min(1024).max(64 * GiB).default(GiB).describe("Of one request"),
  diskBytes: z.int().min(1024).default(8 * GiB).describe("Of all requests"),
  uploadSeconds: z.int().min(1).max(3600).default(120),
  seconds: z.int().min(1).max(600).default(30).describe("That reading a file may take"),
  spool: z.string().optional().describe("Folder for uploads; default: the system's for such files"),
});
export type VerifyConfig = z.output<typeof VerifyConfig>;

/**
 * Reads the configuration. Its paths come back absolute.
 *
 * @throws {DsignError} `invalid_params`, saying which setting of which file is wrong
 */
export async function readVerifyConfig(path: string): Promise<VerifyConfig> {
  const wrong = (why: string) => new DsignError("invalid_params", why);
  let value: unknown;
  try {
    value = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw wrong(
      error instanceof SyntaxError
        ? `${path} is not JSON: ${error.message}`
        : `The configuration ${path} cannot be read.`,
    );
  }
  const { data, error } = VerifyConfig.safeParse(value);
  if (error) {
    const [issue] = error.issues;
    const setting = issue.code === "unrecognized_keys"
      ? `unknown setting "${[...issue.path, issue.keys[0]].join(".")}"`
      : `"${issue.path.join(".")}": ${issue.message}`;
    throw wrong(`The configuration ${path} is wrong: ${setting}.`);
  }
  const at = (name: string) => resolve(dirname(resolve(path)), name);
  const { trust, listen, spool } = data;
  return {
    ...data,
    trust: Object.fromEntries(Object.entries(trust).map(([name, folder]) => [name, at(folder)])),
    listen: listen.startsWith("unix:") ? `unix:${at(listen.slice("unix:".length))}` : listen,
    spool: spool && at(spool),
  };
}
