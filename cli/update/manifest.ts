/**
 * The release manifest names a channel's newest version and is signed by its publisher. It is a flattened JWS (RFC 7515
 * §7.2.2) with Ed25519 (RFC 8037), so the signature covers exactly the bytes that are read.
 */
import * as z from "zod";

/** JOSE `typ`: keeps the key's signatures over other things from passing for a manifest. */
export const MANIFEST_TYPE = "dsign-release+json";

/** Size limit in bytes. */
export const MAX_MANIFEST = 64 * 1024;

const Version = z.string().regex(/^(?:0|[1-9]\d{0,5})(?:\.(?:0|[1-9]\d{0,5})){2}$/);
const WebAddress = z.url({ protocol: /^https?$/ });

export const Manifest = z.object({
  product: z.literal("dsign"),
  channel: z.string(),
  version: Version,
  /** Time of signing. Later manifests of the channel never have an earlier time. */
  issued: z.iso.datetime(),
  /** After this time the manifest is rejected. The publisher signs a new one in time, even without a new version. */
  expires: z.iso.datetime(),
  /** Release notes. */
  notes: WebAddress.optional(),
  files: z.array(z.object({
    /** e.g. `x86_64-unknown-linux-gnu` */
    target: z.string().regex(/^[\w.-]+$/),
    name: z.string().regex(/^[\w][\w.+~-]*$/),
    url: WebAddress,
    size: z.int().min(1),
    /** Hex. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  })).max(100),
});
export type Manifest = z.output<typeof Manifest>;

export type UpdateErrorCode =
  | "update_not_set_up"
  | "update_unreachable"
  | "update_untrusted"
  | "update_malformed"
  | "update_expired"
  | "update_rolled_back";

/** Why the newest version cannot be determined; the message is a sentence. */
export class UpdateError extends Error {
  override readonly name = "UpdateError";

  constructor(readonly code: UpdateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

const Envelope = z.object({
  protected: z.base64url(),
  payload: z.base64url(),
  signature: z.base64url(),
});
const Header = z.strictObject({
  alg: z.enum(["Ed25519", "EdDSA"]),
  typ: z.literal(MANIFEST_TYPE),
});

const fromBase64url = (text: string) => Uint8Array.fromBase64(text, { alphabet: "base64url" });
const malformed = (what: string) =>
  new UpdateError("update_malformed", `The release manifest is damaged: ${what}.`);

function parse<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed(`${what} is not JSON`);
  }
  const { data, error } = schema.safeParse(value);
  if (error) {
    throw malformed(`${what}: ${error.issues[0].path.join(".")} ${error.issues[0].message}`);
  }
  return data;
}

/**
 * Verifies the signature, then reads the signed content.
 *
 * @param keys Ed25519 public keys, Base64
 * @throws {UpdateError} `update_untrusted`, `update_malformed`
 */
export async function readManifest(bytes: Uint8Array, keys: readonly string[]): Promise<Manifest> {
  const envelope = parse(Envelope, new TextDecoder().decode(bytes), "its envelope");
  const signed = new TextEncoder().encode(`${envelope.protected}.${envelope.payload}`);
  const signature = fromBase64url(envelope.signature);
  const trusted = await Promise.all(keys.map(async (key) => {
    const imported = await crypto.subtle.importKey(
      "raw",
      Uint8Array.fromBase64(key),
      "Ed25519",
      false,
      ["verify"],
    );
    return await crypto.subtle.verify("Ed25519", imported, signature, signed);
  }));
  if (!trusted.includes(true)) {
    throw new UpdateError(
      "update_untrusted",
      "The release manifest is not signed by a key that D-Sign trusts. Do not install from there.",
    );
  }
  const text = (part: string) => new TextDecoder().decode(fromBase64url(part));
  parse(Header, text(envelope.protected), "its header");
  return parse(Manifest, text(envelope.payload), "its content");
}

/** Negative, zero or positive if `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const numbers = (version: string) => version.split(".").map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  const at = left.findIndex((number, i) => number !== right[i]);
  return at < 0 ? 0 : left[at] - right[at];
}

/** The newest accepted manifest of a channel. */
export type Seen = Pick<Manifest, "version" | "issued">;

/**
 * Rejects a manifest that is withheld too long (freeze attack) or older than one seen before (rollback attack).
 *
 * @throws {UpdateError} `update_untrusted`, `update_expired`, `update_rolled_back`
 */
export function checkFresh(
  manifest: Manifest,
  { channel, now, seen }: { channel: string; now: Date; seen?: Seen },
): void {
  if (manifest.channel !== channel) {
    throw new UpdateError(
      "update_untrusted",
      `The release manifest is not for the channel ${channel}.`,
    );
  }
  if (Date.parse(manifest.expires) <= now.getTime()) {
    throw new UpdateError(
      "update_expired",
      `The release manifest expired on ${manifest.expires}; somebody may be withholding newer ones. ` +
        "Check the clock and the network's proxy.",
    );
  }
  if (seen === undefined) return;
  const isOlder = Date.parse(manifest.issued) < Date.parse(seen.issued);
  if (isOlder || compareVersions(manifest.version, seen.version) < 0) {
    throw new UpdateError(
      "update_rolled_back",
      `The release manifest (${manifest.version}) is older than one seen before (${seen.version}). ` +
        "Do not install from there.",
    );
  }
}
