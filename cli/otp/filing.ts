/** Where the service's configuration wants checkpoints filed. */
import type { OtpConfig } from "../../otp_service/config.ts";
import type { Filing } from "../../otp_service/filing.ts";
import type { Person } from "../../otp_service/rows.ts";
import type { Service } from "../../otp_service/service.ts";

/** @throws {SetupError} where a way needs what is not configured */
export async function openFiling(
  { log: config }: OtpConfig,
  { store, ways, tsa, reader }: Service,
): Promise<Filing | undefined> {
  if (!config) return undefined;
  const { Filing } = await import("../../otp_service/filing.ts");
  const { SetupError } = await import("../../otp_service/error.ts");
  const { requestTimestamp } = await import("../../online/timestamp.ts");
  const { checkpointFile: file, mail: address, url, timestamp, witness } = config;
  if (address !== undefined && !ways.mail) throw new SetupError('"log.mail" needs "smtp".');
  if (timestamp && (!tsa || file === undefined)) {
    throw new SetupError('"log.timestamp" needs "tsa" and "log.checkpointFile".');
  }
  return new Filing({
    log: store.log,
    file,
    url,
    witness,
    ...address !== undefined && {
      mail: (subject: string, text: string) =>
        ways.mail!.send({ email: address } as Person, { subject, text }),
    },
    ...timestamp && {
      timestamp: (digest: Uint8Array) => requestTimestamp(reader, tsa!, "SHA-256", digest, {}),
    },
  });
}
