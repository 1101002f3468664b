import { getLogger } from "@logtape/logtape";
import { InvalidArgumentError, Option } from "commander";
import { trustFolders } from "../settings/anchors.ts";
import { browserCommand, openBrowser } from "../signing/consent/browser.ts";
import { type Config, languageOf, makeStateFolder } from "../settings/config.ts";
import { consentOf } from "../signing/consent/choose.ts";
import type { PortHolder } from "../protocol/console.ts";
import { holderOf } from "../agent/port_holder.ts";
import { claimInstance } from "../agent/instance.ts";
import { configureLog } from "../settings/log.ts";
import { startAgent } from "../agent/compose.ts";
import { openReaders } from "../signing/reading.ts";
import { authorityPath, ensureIdentity, type TlsIdentity, watchIdentity } from "../agent/tls.ts";
import { authorityOf, replaceAuthority, run, trustStores } from "../agent/trust.ts";
import { DsignError } from "../protocol/errors.ts";
import { printJson } from "./failure.ts";
import { changeConfig } from "./config_file.ts";
import { firstStart } from "./first_start.ts";
import type { AddCommand, Context } from "./command.ts";
import { loadConfig, openLocal, openRemote } from "./providers.ts";
import { showStartFailure } from "./start_failure.ts";
import { removeOldVersions } from "./unpacked.ts";

const log = getLogger(["dsign", "agent"]);

const env = (name: string) => Deno.env.get(name);

interface Options {
  port?: number;
  consent?: Config["consent"];
  json?: boolean;
  verbose?: boolean;
}

/** `dsign agent` */
export const agentCommand: AddCommand = (program, context, action) => {
  program.command("agent")
    .description("Run the agent, which answers web pages on this computer. Stop it with Ctrl-C.")
    .addOption(
      new Option(
        "--port <port>",
        "port for ws:// (0: any free port); wss:// then uses any free port",
      )
        .argParser((text) => {
          const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
          if (port <= 65535) return port;
          throw new InvalidArgumentError("must be a number from 0 to 65535.");
        }),
    )
    .addOption(
      new Option("--consent <kind>", "how to ask for consent (default: the configured way)")
        .choices(["window", "pinentry", "terminal"]),
    )
    .option("--verbose", "log more")
    .option("--json", "print one JSON object once it listens")
    .action(action(async (options: Options) => {
      const running = await serve(context, options, () => Promise.resolve());
      if (running === null) return;
      throw new DsignError("busy", `D-Sign is already running on port ${running}.`);
    }));
};

/** Loads the wss:// certificate. If it replaces a trusted one, trusts the new one instead. */
async function readyTls(folder: string): Promise<TlsIdentity> {
  const { identity, replaced } = await ensureIdentity(folder, new Date());
  const home = env("HOME");
  if (replaced && home) {
    const path = authorityPath(folder);
    const old = authorityOf(replaced, path);
    const { left } = await replaceAuthority(
      await trustStores(home, run),
      old,
      authorityOf(identity.authority, path),
    );
    for (const { name } of left) {
      console.error(
        `dsign: The wss:// certificate was renewed. Run "dsign trust install" for ${name}.`,
      );
    }
  }
  return identity;
}

/** Plain `dsign`: starts the agent and opens its console, or opens the console of the running agent. */
export async function openConsole(context: Context, options: Options): Promise<void> {
  try {
    await openConsoleOrFail(context, options);
  } catch (error) {
    // A double-click on Windows opens a terminal that closes with the program.
    const isSeen = options.json || Deno.build.os !== "windows" && Deno.stderr.isTerminal();
    if (error instanceof DsignError && !isSeen) {
      await showStartFailure(context, error.message, env).catch((failure) => {
        // If no browser opens, the message on stderr is all we can offer.
        if (!(failure instanceof DsignError)) throw failure;
      });
    }
    throw error;
  }
}

async function openConsoleOrFail(context: Context, options: Options): Promise<void> {
  const { config } = await loadConfig();
  const open = async (port: number) => {
    const url = `http://127.0.0.1:${port}/`;
    await openBrowser(await browserCommand(url, config.browser, env));
  };
  const running = await serve(context, options, async (port) => {
    // The agent works without a console, so this is not fatal.
    await open(port).catch((error) => {
      if (!(error instanceof DsignError)) throw error;
      console.error(`dsign: ${error.message}`);
    });
  });
  if (running === null) return;
  if (options.json) printJson({ port: running, running: true });
  else console.log(`D-Sign is already running on port ${running}.`);
  await open(running);
}

/**
 * Runs the agent until a signal comes.
 *
 * @returns null, or the port of an agent that is already running
 */
async function serve(
  context: Context,
  options: Options,
  ready: (port: number) => Promise<void>,
): Promise<number | null> {
  const { readerCommand, textCommand, version, web, signal } = context;
  const loaded = await loadConfig();
  const config = { ...loaded.config, ...options.consent && { consent: options.consent } };
  const { paths } = loaded;
  await makeStateFolder(paths.state);
  const instance = await claimInstance(paths.state);
  if ("port" in instance) return instance.port;
  await configureLog(options.verbose ? "debug" : config.logLevel, { file: paths.log });
  const tls = await readyTls(paths.tls);
  const reader = openReaders(
    readerCommand,
    (text) => log.error("The reader process says: {text}", { text }),
  );
  const local = await openLocal(config, context, reader);
  const providers = [...local, ...await openRemote(config)];
  let language = languageOf(config, env);
  const quitting = Promise.withResolvers<void>();
  const settings = {
    language: () => language,
    async keepLanguage(chosen: string) {
      await changeConfig(paths.config, (file) => file.language = chosen as Config["language"]);
      language = chosen;
    },
    quit: () => quitting.resolve(),
  };
  try {
    const agent = await startAgent({
      providers,
      consent: consentOf(config, env, { ...settings, phrase: paths.phrase }),
      identity: paths.identity,
      grants: paths.grants,
      keyFiles: paths.keyFiles,
      audit: paths.audit,
      batches: paths.batches,
      spool: paths.spool,
      timestampAuthority: config.timestampAuthority,
      async pkiFetch(...request) {
        const { configuredFetch } = await import("../online/pki_http.ts"); // loaded on first use, to keep an idle agent small
        return await configuredFetch(config)(...request);
      },
      trust: trustFolders(paths, env),
      departmentalPolicies: config.departmentalPolicies,
      postQuantum: config.postQuantum,
      version,
      web,
      reader,
      textCommand,
      tls,
      ports: options.port === undefined ? config.ports : [options.port],
      securePorts: options.port === undefined ? config.securePorts : [0],
      keepLogin: config.keepLogin,
      allowedOrigins: config.allowedOrigins,
      otherOrigins: config.otherOrigins,
      legacyOrigins: config.legacyOrigins,
      settings,
      firstStart: firstStart(context, paths.phrase, local),
    });
    const stopRenewing = watchIdentity(
      tls,
      () => readyTls(paths.tls),
      agent.renewTls,
      (error) => console.error(`dsign: The wss:// certificate was not renewed: ${error}`),
    );
    try {
      await instance.announce(agent.port);
      for (const port of agent.taken) console.error(`dsign: ${tellHolder(await holderOf(port))}`);
      if (options.json) printJson({ port: agent.port });
      else console.log(`Listening on ${agent.origin}. Press Ctrl-C to stop.`);
      if (context.unpacked) await removeOldVersions(context.unpacked);
      const ended = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
        quitting.promise.then(resolve);
      });
      await Promise.race([ended, ready(agent.port).then(() => ended)]);
    } finally {
      stopRenewing();
      await agent.close();
    }
  } finally {
    await reader.close();
    await Promise.all(providers.map((provider) => provider.close()));
    await instance.release();
  }
  return null;
}

const tellHolder = ({ port, user, program }: PortHolder): string =>
  `Port ${port} is taken by ${program ?? "another program"}${user ? ` of ${user}` : ""}. ` +
  "Sites that know this D-Sign find it all the same.";
