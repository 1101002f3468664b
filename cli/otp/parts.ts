/** Builds the PIN/OTP service from its configuration. Only `dsign otp-service` loads this file. */
import { getLogger } from "@logtape/logtape";
import { Pkcs11Client } from "../../pkcs11_ffi/client.ts";
import type { ExternalIssuer } from "../../otp_service/authority.ts";
import { composeService } from "../../otp_service/compose.ts";
import { type OtpConfig, readSecretFile, withFile } from "../../otp_service/config.ts";
import { smsDelivery } from "../../otp_service/delivery_sms.ts";
import { smtpDelivery } from "../../otp_service/delivery_smtp.ts";
import { SetupError } from "../../otp_service/error.ts";
import { estClient } from "../../otp_service/est.ts";
import { embeddedKeys, moduleKeys } from "../../otp_service/keys.ts";
import type { Metrics } from "../../otp_service/metrics.ts";
import { Pins } from "../../otp_service/pin.ts";
import { openReaders, type ServiceReader } from "../../otp_service/reading.ts";
import type { Service } from "../../otp_service/service.ts";
import { FormatError } from "../../formats/error.ts";
import { type Certificate, readCertificate } from "../../formats/x509/certificate.ts";
import { isTrial } from "../../formats/x509/trial.ts";
import type { Signer } from "../../formats/signer.ts";
import { readCertificates } from "../../formats/x509/bundle.ts";
import { openModuleSigner } from "../../signers/module_signer.ts";
import { openKeyFile } from "../../signers/pkcs12.ts";
import { SignerError } from "../../signers/provider.ts";
import { validationDataFor } from "../../otp_service/validation_data.ts";
import type { Context } from "../command.ts";
import { openStore } from "./open_store.ts";

const log = getLogger(["dsign", "otp-service"]);

export interface OtpParts {
  config: OtpConfig;
  service: Service;
  pins: Pins;
  metrics: Metrics;
  close(): Promise<void>;
}

type ModuleConfig = Omit<NonNullable<OtpConfig["keys"]>, "processes">;

/** Builds the parts. @throws {SetupError} */
export async function openParts(
  path: string,
  { hostCommand, readerCommand, web }: Pick<Context, "hostCommand" | "readerCommand" | "web">,
): Promise<OtpParts> {
  const { config, secrets, metrics, store, close: closeStore } = await openStore(path);
  const closers: (() => unknown)[] = [closeStore];
  const close = async () => {
    for (const each of closers.splice(0).reverse()) await each();
  };
  const closing = <T extends { close(): unknown }>(part: T): T => {
    closers.push(() => part.close());
    return part;
  };
  try {
    const session = async (module: ModuleConfig, poolSize: number) => {
      const { module: modulePath, env } = module;
      const client = new Pkcs11Client({ modulePath, command: hostCommand, env, poolSize });
      return await openSession(closing(client), module);
    };
    const { keys: module } = config;
    const { authority, earlierAuthorities, esp } = config;
    for (const each of [module, authority, ...earlierAuthorities, esp?.key]) {
      if (each && "module" in each) await withFile(each.module, () => Deno.stat(each.module));
    }
    const keys = metrics.keys(
      module ? moduleKeys(() => session(module, module.processes)) : embeddedKeys(store, secrets),
    );
    const reader = closing(openReaders(
      readerCommand,
      (text) => log.error("The reader process says: {text}", { text }),
    ));
    const issuer = closing(
      "url" in config.authority
        ? await externalIssuer(config.authority, reader)
        : await openSigner(config.authority, session, reader),
    );
    const earlier = [];
    for (const each of config.earlierAuthorities) {
      earlier.push(closing(await openSigner(each, session, reader)));
    }
    const smtp = config.smtp && closing(smtpDelivery({
      ...config.smtp,
      password: config.smtp.passwordFile && await readSecretFile(config.smtp.passwordFile),
    }));
    const sms = config.sms && smsDelivery({
      ...config.sms,
      headers: {
        ...config.sms.headers,
        ...config.sms.headersFile && await headersIn(config.sms.headersFile),
      },
    });
    const ways = metrics.ways({ mail: smtp, sms });
    const pins = new Pins(secrets.pepper);
    closers.push(() => pins[Symbol.dispose]());
    const { publicUrl, organization, country, policy, name, language, clients, tsa, otpDigits } =
      config;
    const service = composeService({
      reader,
      store,
      secrets,
      pins,
      ways,
      keys,
      keyType: config.keyType,
      issuer,
      earlier,
      policy,
      esp: config.esp && {
        ...config.esp,
        certificates: await certificatesIn(config.esp.certificatesFile),
        anchors: await certificatesIn(config.esp.anchorsFile),
        asp: closing(await openSigner(config.esp.key, session, reader)),
        origins: [new URL(config.esp.url).origin, ...config.esp.origins],
      },
      validationDataFor,
      clients,
      publicUrl,
      name,
      organization,
      country,
      language,
      otpDigits,
      tsa,
      web,
    });
    return { config, service, pins, metrics, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Certificates that somebody is trusted by.
 *
 * @throws {SetupError} if the file holds none, one of a trial agent, or one that cannot be read
 */
async function certificatesIn(path: string): Promise<Certificate[]> {
  let certificates: Certificate[];
  try {
    certificates = readCertificates(await withFile(path, () => Deno.readFile(path)))
      .map(readCertificate);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new SetupError(`${path} cannot be read: ${error.message}`);
  }
  if (certificates.length === 0) throw new SetupError(`${path} holds no certificate.`);
  if (certificates.some(isTrial)) {
    throw new SetupError(`${path} is of a trial agent, whose signatures are worth nothing.`);
  }
  return certificates;
}

async function openSession(client: Pkcs11Client, { token, pinFile }: ModuleConfig) {
  const session = await client.openSession(token);
  await session.login(new TextEncoder().encode(await readSecretFile(pinFile)));
  return session;
}

type EstConfig = Extract<OtpConfig["authority"], { url: string }>;

async function externalIssuer(
  config: EstConfig,
  reader: ServiceReader,
): Promise<ExternalIssuer & { close(): void }> {
  const { url, certificateFile, user, passwordFile, tokenFile, oneTimeMinutes, storedDays } =
    config;
  const certificates = (await certificatesIn(certificateFile)).map(({ der }) => der);
  const authorization = user !== undefined && passwordFile !== undefined
    ? `Basic ${utf8(`${user}:${await readSecretFile(passwordFile)}`).toBase64()}`
    : tokenFile && `Bearer ${await readSecretFile(tokenFile)}`;
  const { tlsAnchorsFile, tlsCertificateFile, tlsKeyFile } = config;
  const { enrol, close } = estClient({
    reader,
    url,
    authorization,
    tlsAnchors: tlsAnchorsFile && await pemIn(tlsAnchorsFile),
    tlsIdentity: tlsCertificateFile && tlsKeyFile
      ? { cert: await pemIn(tlsCertificateFile), key: await readSecretFile(tlsKeyFile) }
      : undefined,
  });
  const validity = { "one-time": oneTimeMinutes * 60_000, stored: storedDays * 24 * 3_600_000 };
  return { certificates, enrol, close, validity };
}

/** The text of a file with certificates. @throws {SetupError} if it holds none */
async function pemIn(path: string): Promise<string> {
  await certificatesIn(path);
  return await Deno.readTextFile(path);
}

/** @throws {SetupError} if it is not JSON; its contents are secret and not shown */
async function headersIn(path: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readSecretFile(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SetupError(`${path} is not a JSON object of headers.`);
  }
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** @throws {SetupError} naming the file, where its password does not open it */
export async function openFileSigner(
  { keyFile, passwordFile }: { keyFile: string; passwordFile: string },
  reader: ServiceReader,
): Promise<Signer> {
  const password = utf8(await readSecretFile(passwordFile));
  try {
    return await openKeyFile(keyFile, password, "SHA-256", reader);
  } catch (error) {
    if (!(error instanceof SignerError)) throw error;
    throw new SetupError(`${keyFile}: ${error.message}`);
  }
}

/** A key that signs for the department: the authority's, or that of the requests to an eSign service provider. */
async function openSigner(
  config: Exclude<OtpConfig["authority"], EstConfig>,
  session: (module: ModuleConfig, poolSize: number) => ReturnType<typeof openSession>,
  reader: ServiceReader,
): Promise<Signer> {
  if ("keyFile" in config) return await openFileSigner(config, reader);
  const certificates = (await certificatesIn(config.certificateFile)).map(({ der }) => der);
  return await openModuleSigner(await session(config, 1), certificates, "SHA-256");
}
