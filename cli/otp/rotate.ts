/** `dsign otp-service rotate`: secrets and keys are replaced while the service runs. */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { AuthorityKey } from "../../otp_service/init.ts";
import { type Action, type Context, repeated } from "../command.ts";
import { printJson, UsageError } from "../failure.ts";
import { keyOption } from "./init.ts";
import {
  inWords,
  operator,
  type ServiceOptions,
  serviceOptions,
  withStore,
} from "./service_command.ts";

interface SecretOptions extends ServiceOptions {
  prepare?: boolean;
  use?: boolean;
  retire?: boolean;
  now?: boolean;
}

export function addRotate(service: Command, context: Context, action: Action): void {
  const rotate = service.command("rotate")
    .description("Replace a secret or key while the service runs.");
  serviceOptions(rotate.command("secret"), "print one JSON object")
    .description("Rotate the service's secret. Without an option: show the secrets that are kept.")
    .option("--prepare", "add a new secret to the file; nothing is made with it yet")
    .option("--use", "use the new secret, and seal the database's rows with it")
    .option("--retire", "ten minutes later: the old secret counts for PINs alone")
    .option(
      "--now",
      "with --retire, instances stopped: do not wait; what began with the old secret fails",
    )
    .addHelpText(
      "after",
      "\nRun the three steps in this order. After each, copy the secret file to all machines " +
        "with instances. Nothing is restarted. A PIN gets the new pepper when its person next signs.",
    )
    .action(action((options: SecretOptions) => rotateSecret(options)));
  ofConfiguration(rotate.command("log-key"))
    .description("Rotate the key of the audit's checkpoints. Both keys sign in between.")
    .option("--prepare", "a new key signs too, from the next restart on")
    .option("--use", "only the new key signs, from the next restart on")
    .option("--retire", "the log's end counts no longer if it is signed by an old key alone")
    .addHelpText(
      "after",
      "\nReceipts from before the change are still checked with the old key. A key that was derived from the secret " +
        "gets a file at --prepare, and the configuration names it.",
    )
    .action(action((options: LogKeyOptions) => rotateLogKey(options)));
  ofConfiguration(rotate.command("authority"))
    .description("Rotate the issuing authority's key. Both keys' certificates stay good.")
    .addOption(keyOption())
    .option("--prepare", "make the new key and certificate beside the configuration")
    .option(
      "--use <certificate>",
      "issue with the new one from the next restart on; the file that --prepare named",
    )
    .addHelpText(
      "after",
      "\nBetween --prepare and --use, give the new certificate to everybody who trusts the old one. " +
        "CRLs and OCSP answers of the old key go on.",
    )
    .action(
      action((options: AuthorityOptions) => inWords(() => rotateAuthority(context, options))),
    );
  ofConfiguration(rotate.command("client <id>"))
    .description("Give a portal a new secret. The old one stays good until --retire.")
    .option("--retire", "only the new secret is good")
    .addHelpText("after", "\nRestart the instances one after another after each step.")
    .action(
      action((id: string, options: ClientOptions) => inWords(() => rotateClient(id, options))),
    );
}

const ofConfiguration = (command: Command): Command =>
  serviceOptions(command, "print one JSON object")
    .option(
      "--also <file>",
      "another instance's configuration, changed in the same way; repeatable",
      repeated,
      [],
    );

interface ConfigurationOptions extends ServiceOptions {
  also: string[];
}

interface LogKeyOptions extends ConfigurationOptions {
  prepare?: boolean;
  use?: boolean;
  retire?: boolean;
}

async function rotateLogKey(options: LogKeyOptions) {
  const { prepare, use, retire, config: path, also, json } = options;
  if ([prepare, use, retire].filter(Boolean).length !== 1) {
    throw new UsageError("Give one of --prepare, --use and --retire.");
  }
  const { changeOtpConfig, logOrigin, sameOwner } = await import("../../otp_service/config.ts");
  const keys = await import("../../otp_service/log_key.ts");
  const { SetupError } = await import("../../otp_service/error.ts");
  return await withStore(options, async ({ config, secrets, store }) => {
    const origin = logOrigin(config.publicUrl);
    const file = config.logKeyFile ?? join(dirname(resolve(path)), "log-key");
    // the audit tells of it first: where it cannot, no file is changed
    const noted = async (step: string, key: string) => {
      await store.run((tx) => tx.audit({ event: "log_key.rotated", step, key, by: operator() }));
      await store.auditHead();
    };
    if (config.logKeyFile === undefined) {
      if (!prepare) {
        throw new SetupError("The log's key is derived from the secret: --prepare first.");
      }
      await store.auditHead();
      await keys.writeDerivedLogKey(file, secrets.logSeed);
      await sameOwner(path, [file]);
      for (const each of [path, ...also]) {
        await changeOtpConfig(each, (config) => {
          config.logKeyFile ??= file;
        });
      }
    }
    const [change, step, told] = prepare
      ? [
        keys.prepareLogKey,
        "prepared",
        "both keys sign. Give this key to everybody who checks receipts.",
      ]
      : use
      ? [keys.useNextLogKey, "in use", "only the new key signs."]
      : [keys.retireLogKeys, "old ones retired", "old keys count for filed checkpoints alone."];
    const key = await change(file, origin, (key) => noted(step, key));
    if (json) return printJson({ key, file });
    console.log(key);
    if (config.logKeyFile === undefined) console.log(`The log's key is in ${file} now.`);
    console.log(`Restart the instances, one after another: ${told}`);
  });
}

interface AuthorityOptions extends ConfigurationOptions {
  prepare?: boolean;
  use?: string;
  authorityKey: AuthorityKey;
}

async function rotateAuthority(
  { readerCommand }: Context,
  { config, also, prepare, use, authorityKey, json }: AuthorityOptions,
) {
  if (prepare === (use !== undefined)) throw new UsageError("Give either --prepare or --use.");
  if (use !== undefined && !use.endsWith(".pem")) {
    throw new UsageError("--use takes the certificate that --prepare named, as authority-2.pem.");
  }
  const { changeOtpConfig, readOtpConfig, sameOwner, withFile } = await import(
    "../../otp_service/config.ts"
  );
  const { writeAuthority } = await import("../../otp_service/init.ts");
  const { SetupError } = await import("../../otp_service/error.ts");
  const { authority, earlierAuthorities, organization } = await readOtpConfig(config);
  if (!("keyFile" in authority)) {
    throw new SetupError(
      "The authority's key is not in a file of this service. Make the new one where the old one is, " +
        'put the old one into "earlierAuthorities", and the new one into "authority".',
    );
  }
  if (prepare) {
    const number = earlierAuthorities.length + 2;
    const folder = dirname(authority.keyFile);
    const made = await writeAuthority(folder, { organization, authorityKey, number });
    const certificateFile = join(folder, made.certificateFile);
    await sameOwner(authority.keyFile, Object.values(made).map((name) => join(folder, name)));
    if (json) return printJson({ certificateFile });
    console.log(`Made ${certificateFile}. Give it to everybody who trusts the old one.`);
    return;
  }
  const keyFile = resolve(use!.replace(/\.pem$/, ".p12"));
  const passwordFile = resolve(use!.replace(/\.pem$/, ".password"));
  await withFile(keyFile, () => Deno.stat(keyFile));
  // else the next start would find out
  const { openFileSigner } = await import("./parts.ts");
  const { openReaders } = await import("../../otp_service/reading.ts");
  const reader = openReaders(readerCommand, () => {});
  try {
    await (await openFileSigner({ keyFile, passwordFile }, reader)).close();
  } finally {
    await reader.close();
  }
  for (const path of [config, ...also]) {
    await changeOtpConfig(path, (config) => {
      if (
        "keyFile" in config.authority &&
        resolve(dirname(path), config.authority.keyFile) === keyFile
      ) {
        return; // it was interrupted here
      }
      config.earlierAuthorities = [
        config.authority as { keyFile: string; passwordFile: string },
        ...config.earlierAuthorities ?? [],
      ];
      config.authority = { keyFile, passwordFile };
    });
  }
  if (json) return printJson({ keyFile });
  console.log(`${keyFile} is the authority's key. Restart the instances, one after another.`);
}

interface ClientOptions extends ConfigurationOptions {
  retire?: boolean;
}

async function rotateClient(id: string, { config, also, retire, json }: ClientOptions) {
  const { changeOtpConfig, readOtpConfig } = await import("../../otp_service/config.ts");
  const { newClientSecret } = await import("../../otp_service/init.ts");
  const made = retire ? undefined : newClientSecret();
  const paths = [config, ...also];
  // all are looked at before one is changed
  const found = [];
  for (const path of paths) {
    const client = (await readOtpConfig(path)).clients.find((each) => each.id === id);
    if (!client) throw new UsageError(`${path} has no client ${id}.`);
    if (!client.secretHash) throw new UsageError(`${id} is a public client: it has no secret.`);
    found.push(client);
  }
  const differ = new Set(found.map(({ secretHash }) => secretHash)).size > 1;
  if (retire && differ) {
    throw new UsageError(`${id} has not the same secret in all of them: rotate it again first.`);
  }
  // where they differ, the last one was interrupted before it told its new secret
  if (made && !differ && found.some(({ earlierSecretHash }) => earlierSecretHash)) {
    throw new UsageError(`${id} has two secrets: --retire first.`);
  }
  // the secret is told first: once it is in the files it stands nowhere else
  if (json) printJson(made ? { clientId: id, clientSecret: made.secret } : { clientId: id });
  else if (made) console.log(`Client secret: ${made.secret}`);
  for (const path of paths) {
    await changeOtpConfig(path, ({ clients }) => {
      const client = clients!.find((each) => each.id === id)!;
      if (made) {
        client.earlierSecretHash ??= client.secretHash;
        client.secretHash = made.secretHash;
      } else delete client.earlierSecretHash;
    });
  }
  if (json) return;
  console.log(
    made
      ? "It is not stored. Restart the instances, then give it to the portal."
      : "Only the new secret is good once the instances are restarted.",
  );
}

async function rotateSecret(options: SecretOptions) {
  const { prepare, use, retire, now, json } = options;
  if ([prepare, use, retire].filter(Boolean).length > 1) {
    throw new UsageError("One step at a time: --prepare, --use or --retire.");
  }
  if (now && !retire) throw new UsageError("--now goes with --retire.");
  const rotation = await import("../../otp_service/rotate_secret.ts");
  return await withStore(options, async ({ config: { secretFile, logKeyFile }, store }) => {
    const done: Record<string, unknown> = {};
    await store.ready(); // where the database is out, the file stays as it is
    if (prepare) done.prepared = await rotation.prepareSecret(secretFile);
    if (use) await rotation.useNextSecret(secretFile);
    store.secrets.reload();
    const rotating = { store, by: operator() };
    if (use) done.sealed = await rotation.sealWithCurrent(rotating);
    if (retire) {
      done.removed = await rotation.retireSecrets(secretFile, rotating, {
        now,
        logKeyIsDerived: logKeyFile === undefined,
      });
    }
    const states = await rotation.secretStates(secretFile, store);
    if (json) return printJson({ ...done, secrets: states });
    if (prepare) console.log(`Added a secret to ${secretFile}.`);
    if (use) console.log(`Sealed ${done.sealed} rows with the new secret.`);
    for (const { name, use, pins, until } of states) {
      const good = {
        current: "in use",
        next: "can be read; not in use yet",
        old: `can be read; retire it after ${until}`,
        pepper: "for PINs alone",
      };
      console.log(`${name}  ${good[use]}; PINs: ${pins}`);
    }
  });
}
