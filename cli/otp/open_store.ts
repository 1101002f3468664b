/** The service's store by its configuration, for what needs no key and no mail: the audit can be read while these are out. */
import { logOrigin, type OtpConfig, readOtpConfig } from "../../otp_service/config.ts";
import { readLogSigner } from "../../otp_service/log_key.ts";
import { Metrics } from "../../otp_service/metrics.ts";
import { readSecrets } from "../../otp_service/secret_file.ts";
import type { Secrets } from "../../otp_service/secrets.ts";
import { openPostgres } from "../../otp_service/store_postgres.ts";
import { openSqlite } from "../../otp_service/store_sqlite.ts";
import { Store } from "../../otp_service/store.ts";

export interface OpenedStore {
  config: OtpConfig;
  secrets: Secrets;
  metrics: Metrics;
  store: Store;
  close(): Promise<void>;
}

/** @throws {SetupError} */
export async function openStore(path: string): Promise<OpenedStore> {
  const config = await readOtpConfig(path);
  const secrets = await readSecrets(config.secretFile);
  const origin = logOrigin(config.publicUrl);
  const signer = config.logKeyFile === undefined
    ? secrets.logSigner(origin)
    : await readLogSigner(config.logKeyFile, origin);
  const database = /^postgres(ql)?:/.test(config.database)
    ? await openPostgres(config.database)
    : openSqlite(config.database);
  const metrics = new Metrics();
  const kept = metrics.kept.bind(metrics);
  const store = new Store(metrics.database(database), Date.now, secrets, signer, kept);
  return { config, secrets, metrics, store, close: () => store.close() };
}
