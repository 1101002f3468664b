import { resolve } from "node:path";
import { findPaths } from "../settings/config.ts";
import { authorityPath, ensureIdentity } from "../agent/tls.ts";
import {
  type Authority,
  readAuthority,
  run,
  type TrustStore,
  trustStores,
} from "../agent/trust.ts";
import { DsignError } from "../protocol/errors.ts";
import { EXIT, printJson, UsageError } from "./failure.ts";
import type { AddCommand } from "./command.ts";
import { addRootsCommand } from "./trust_roots.ts";

const env = (name: string) => Deno.env.get(name);

interface Options {
  personal?: boolean;
  authority?: string;
  json?: boolean;
}

/** The result for one trust store. */
interface Outcome {
  store: string;
  trusted: boolean;
  /** A step that somebody else must take, or a failure. */
  note?: string;
}

/** `dsign trust` */
export const trustCommand: AddCommand = (program, _, action) => {
  const command = program.command("trust")
    .description(
      "Make browsers trust D-Sign's certificate, for sites that need wss://; manage the roots by which signatures are verified.",
    )
    .addHelpText(
      "after",
      `
The trusted authority can certify only 127.0.0.1 and localhost, and its key was destroyed after one use.
Restart browsers afterwards.`,
    );
  const add = (
    name: string,
    description: string,
    work: (store: TrustStore, authority: Authority) => Promise<void>,
  ) =>
    command.command(name)
      .description(description)
      .option("--authority <file>", "as root: trust this authority on the whole computer")
      .option("--personal", "only in this person's browsers, not on the whole computer")
      .option("--json", "print one JSON object")
      .action(action(async (options: Options) => {
        const authority = await findAuthority(options);
        const outcomes: Outcome[] = [];
        for (const store of await stores(options)) {
          outcomes.push(await outcomeOf(store, authority, work));
        }
        if (options.json) printJson({ authority: authority.path, stores: outcomes });
        else {
          for (const { store, trusted, note } of outcomes) {
            console.log(`${trusted ? "trusted    " : "not trusted"}  ${store}`);
            if (note) console.log(`             ${note}`);
          }
        }
        if (!options.json && name === "install" && outcomes.some(({ trusted }) => !trusted)) {
          console.log(
            `To trust it on the whole computer, run as root: dsign trust install --authority ${authority.path}`,
          );
        }
        return outcomes.some(({ note }) => note) ? EXIT.failed : EXIT.ok;
      }));
  add("install", "Trust the certificate everywhere this user may.", async (store, authority) => {
    if (!await store.has(authority)) await store.install(authority);
  });
  add("uninstall", "Remove the certificate from every trust store.", async (store, authority) => {
    if (await store.has(authority)) await store.remove(authority);
  });
  addRootsCommand(command, action);
  add("status", "Show where the certificate is trusted.", () => Promise.resolve());
};

const isRoot = () => Deno.build.os !== "windows" && Deno.uid() === 0;

async function findAuthority({ authority }: Options): Promise<Authority> {
  if (authority !== undefined) {
    if (!isRoot()) throw new UsageError("--authority requires root.");
    return await readAuthority(resolve(authority));
  }
  const { tls } = findPaths(env);
  await ensureIdentity(tls, new Date());
  return await readAuthority(authorityPath(tls));
}

/** With `--authority` root acts for somebody else, so root's own databases are left out. */
async function stores({ authority, personal }: Options): Promise<TrustStore[]> {
  const home = env("HOME") ?? env("USERPROFILE");
  if (!home) {
    throw new DsignError("storage_failed", "HOME is not set, so the home folder is unknown.");
  }
  const all = await trustStores(home, run);
  if (authority !== undefined) return all.filter(({ administrator }) => administrator);
  return personal ? all.filter(({ administrator }) => !administrator) : all;
}

async function outcomeOf(
  store: TrustStore,
  authority: Authority,
  work: (store: TrustStore, authority: Authority) => Promise<void>,
): Promise<Outcome> {
  let note: string | undefined;
  if (!store.administrator || isRoot()) {
    try {
      await work(store, authority);
    } catch (error) {
      if (!(error instanceof DsignError)) throw error;
      note = error.message;
    }
  }
  const trusted = await store.has(authority);
  return { store: store.name, trusted, note };
}
