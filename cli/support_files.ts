/** The files of a support bundle, without anything the help desk must not see. */
import { basename } from "node:path";
import { release } from "node:os";
import type { Settings } from "../settings/policy_file.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { parseUri } from "../pkcs11_ffi/uri.ts";
import { FormatError } from "../formats/error.ts";
import { Autostart } from "./autostart.ts";
import { diagnose } from "./doctor/diagnose.ts";
import type { Machine } from "./doctor/machine.ts";
import { checkSettings } from "./doctor/settings.ts";
import { toChecks } from "./doctor/words.ts";
import { type DriverReport, probeDriver } from "./driver_probe.ts";
import { findDrivers } from "./providers.ts";
import { redact, redactJson, type Secrets } from "./redact.ts";

/** A file of the bundle. */
export interface SupportFile {
  name: string;
  text: string;
}

/** Bytes taken from the end of each log file. */
const LOG_TAIL = 256 * 1024;

/** Names of users and computers that identify nobody; redacting them would garble the text. */
const NOBODY = ["root", "user", "admin", "administrator", "localhost", "home"];

/**
 * Gathers the bundle. Every text in it has been redacted ({@linkcode redact}). Asks for no PIN and reads only
 * D-Sign's own files.
 */
export async function gather(machine: Machine): Promise<SupportFile[]> {
  const { situation } = await checkSettings(machine);
  const { settings, paths } = situation;
  const findings = await diagnose(machine);
  const { modules } = await findDrivers(settings, machine.env);
  const reports = await Promise.all(modules.map((each) => probeDriver(each, machine.hostCommand)));
  const secrets = secretsOf(machine, reports);
  const json = (name: string, value: unknown): SupportFile => ({
    name,
    text: JSON.stringify(redactJson(value, secrets), null, 2) + "\n",
  });
  const autostart = new Autostart([...machine.selfCommand, "agent"], machine.env, machine.os);
  const logs = await Promise.all([paths.log, `${paths.log}.1`].map(async (path) => ({
    name: basename(path),
    text: redact(await tail(path), secrets),
  })));
  return [
    json("about.json", {
      product: "dsign",
      version: machine.version,
      system: `${Deno.build.os} ${release()} ${Deno.build.arch}`,
      runtime: `deno ${Deno.version.deno}`,
      form: Deno.build.standalone ? "compiled" : basename(machine.selfCommand.at(-1)!),
      language: navigator.language,
      time: machine.now().toISOString(),
    }),
    json("doctor.json", { checks: toChecks(findings, "en") }),
    json("drivers.json", reports.map(describe)),
    json("configuration.json", plain(settings)),
    json("autostart.json", await autostart.status()),
    ...logs.filter(({ text }) => text !== ""),
  ];
}

/** Names of the person, the computer and the tokens, each with its replacement. */
function secretsOf(machine: Machine, reports: readonly DriverReport[]): Secrets {
  const secrets = new Map<string, string>();
  const hide = (word: string | undefined, instead: string) => {
    if (word && !NOBODY.includes(word.toLowerCase())) secrets.set(word, instead);
  };
  const home = machine.env("HOME") ?? machine.env("USERPROFILE");
  for (const name of ["USER", "LOGNAME", "USERNAME"]) hide(machine.env(name), "[user]");
  hide(home && basename(home), "[user]");
  hide(home, "~");
  hide(Deno.hostname(), "[computer]");
  for (const { tokens } of reports) {
    for (const { uri, serialNumber, certificates } of tokens) {
      hide(parseUri(uri).token, "[token]");
      hide(serialNumber, "[serial]");
      for (const { uri, certificate } of certificates) {
        hide(parseUri(uri).object, "[certificate]");
        for (const name of namesIn(certificate)) hide(name, "[name]");
      }
    }
  }
  return secrets;
}

/** Every value in an end entity certificate's subject. Issuers are public. */
function namesIn(der: Uint8Array): string[] {
  try {
    const { subject, basicConstraints } = readCertificate(der);
    if (basicConstraints?.ca) return [];
    return subject.rdns.flat().filter(({ type }) => type !== "2.5.4.6")
      .map(({ text }) => text ?? "");
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}

/** A driver and its tokens, without anything that identifies a token. */
function describe({ module, tokens, ...report }: DriverReport) {
  const { name, path, source } = module;
  return {
    name,
    path,
    source,
    state: report.state,
    message: report.message,
    builtFor: report.builtFor,
    library: report.info,
    tokens: tokens.map(({ uri: _, label: __, serialNumber: ___, certificates, ...token }) => ({
      ...token,
      certificates: certificates.length,
    })),
  };
}

/** The configuration without arguments and file names, which may reveal more than intended. */
function plain(settings: Settings) {
  const program = (command: readonly string[] | undefined) =>
    command && [basename(command[0]), ...command.slice(1).map(() => "[…]")];
  return {
    ...settings,
    browser: program(settings.browser),
    pinentry: program(settings.pinentry),
    pkcs12: settings.pkcs12.map(() => "[…]"),
    remote: settings.remote.map(({ name, url, login: { type } }) => ({
      name,
      url,
      login: { type },
    })),
    modules: settings.modules.map(({ initArgs, ...module }) => ({
      ...module,
      ...initArgs !== undefined && { initArgs: "[…]" },
    })),
  };
}

/** The last complete lines of a file; empty if there is no file. */
async function tail(path: string): Promise<string> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const start = Math.max(0, size - LOG_TAIL);
    await file.seek(start, Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    return start > 0 ? text.slice(text.indexOf("\n") + 1) : text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
