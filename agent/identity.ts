/**
 * The agent's own keys: by them, pages know an agent again (protocol/agent_proof.ts). They come from one secret of this
 * user on this computer, a key for each site: one key for all would tell sites who visits whom.
 */
import { hkdfSync, randomBytes } from "node:crypto";
import * as z from "zod";
import { proofText, successorText } from "../protocol/agent_proof.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Result } from "../protocol/methods.ts";
import { writeAtomically } from "../settings/files.ts";

/** Secrets that are kept: the present one, and those that vouch for it. */
const MAX_SECRETS = 8;
const SECRET_LENGTH = 32;

const Kept = z.strictObject({
  /** Base64; the present one is the last. */
  secrets: z.array(z.base64().length(44)).min(1).max(MAX_SECRETS),
});

/** Loaded at the first proof: most of the time the agent only waits. */
let curves: Promise<typeof import("@noble/curves/nist.js")> | undefined;

/** A P-256 key. */
interface Key {
  scalar: Uint8Array;
  /** The uncompressed point, Base64. */
  point: string;
}

export class AgentIdentity {
  private constructor(
    readonly path: string | undefined,
    readonly secrets: readonly Uint8Array[],
  ) {}

  /** A secret of 32 bytes for one use, from the present secret. */
  secretFor(use: string): Uint8Array {
    const secret = this.secrets.at(-1)!;
    return new Uint8Array(
      hkdfSync("sha256", secret, new Uint8Array(), `dsign ${use}`, SECRET_LENGTH),
    );
  }

  /**
   * Reads the secret, or makes one at the first start.
   *
   * @param path a file that nobody else may read; without it the secret lives as long as this process
   * @throws {DsignError} `storage_failed`: it cannot be understood, or others can read it
   */
  static async load(path?: string): Promise<AgentIdentity> {
    if (path === undefined) return new AgentIdentity(path, [randomBytes(SECRET_LENGTH)]);
    try {
      const { mode } = await Deno.stat(path);
      if (mode !== null && (mode & 0o077) !== 0) {
        throw new Error("other users of this computer can read it");
      }
      const { secrets } = Kept.parse(JSON.parse(await Deno.readTextFile(path)));
      return new AgentIdentity(path, secrets.map((each) => Uint8Array.fromBase64(each)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return await new AgentIdentity(path, []).rotate();
      throw new DsignError(
        "storage_failed",
        `The agent's secret ${path} cannot be used: ${
          (error as Error).message
        }. Repair it, or delete it: sites then ask you to confirm the new one.`,
      );
    }
  }

  /**
   * Makes a new secret. The old ones vouch for it: pages that know the old key take the new one.
   *
   * @throws {DsignError} `storage_failed`: the old secret stays
   */
  async rotate(): Promise<AgentIdentity> {
    const secrets = [...this.secrets, randomBytes(SECRET_LENGTH)].slice(-MAX_SECRETS);
    if (this.path !== undefined) {
      const kept: z.infer<typeof Kept> = { secrets: secrets.map((each) => each.toBase64()) };
      await writeAtomically(this.path, JSON.stringify(kept) + "\n");
    }
    return new AgentIdentity(this.path, secrets);
  }

  /**
   * Proves to a page which agent this is.
   *
   * @param port at which the page's connection came in
   * @param nonce Base64, as the page sent it
   */
  async prove(origin: string, port: number, nonce: string): Promise<Result<"agent.prove">> {
    const { p256 } = await (curves ??= import("@noble/curves/nist.js"));
    const keys = this.secrets.map((secret): Key => {
      // FIPS 186-5 §A.2.1: more bits than the order has, so that no scalar is likelier than another.
      const bits = new Uint8Array(hkdfSync("sha256", secret, "", `dsign agent key\n${origin}`, 48));
      const n = BigInt(`0x${bits.toHex()}`) % (p256.Point.Fn.ORDER - 1n) + 1n;
      const scalar = Uint8Array.fromHex(n.toString(16).padStart(64, "0"));
      return { scalar, point: p256.getPublicKey(scalar, false).toBase64() };
    });
    const sign = ({ scalar }: Key, text: string) =>
      p256.sign(new TextEncoder().encode(text), scalar).toBase64();
    const key = keys.at(-1)!;
    return {
      key: key.point,
      signature: sign(key, proofText(origin, port, nonce)),
      predecessors: keys.slice(0, -1).map((each, i) => ({
        key: each.point,
        signature: sign(each, successorText(keys[i + 1].point)),
      })),
    };
  }
}
