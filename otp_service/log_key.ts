/**
 * The key that signs the audit's checkpoints: an Ed25519 seed (RFC 8032 §5.1.5) in a file, 64 hex digits, shared by all
 * instances and apart from the service's secret, so that who has the secret and the database cannot write another log.
 */
import { type NoteSigner, noteSigner } from "../formats/log/note.ts";
import { readSecretFile } from "./config.ts";
import { SetupError } from "./error.ts";

/**
 * @param origin the log's name, as `sign.example/log`
 * @throws {SetupError} where the file is missing or wrong, or others may read it
 */
export async function readLogSigner(path: string, origin: string): Promise<NoteSigner> {
  const text = await readSecretFile(path);
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new SetupError(`${path} must hold 64 hex digits.`);
  return noteSigner(origin, Uint8Array.fromHex(text));
}
