/** `dsign tokens unlock` and `dsign tokens pin`: a token's PIN for something else than a signature. */
import type { Command } from "commander";
import { resolve } from "node:path";
import type { PinRequest } from "../protocol/consent.ts";
import type { Signing } from "../signing/sign.ts";
import { Audit } from "../signing/audit.ts";
import { openCommandReader } from "../signing/reading.ts";
import { askTokenPin } from "../signing/token_pin.ts";
import { type Inventory, Tokens } from "../signing/tokens.ts";
import { type Action, type Context, repeated } from "./command.ts";
import { consentFor, type ConsentKind, consentOption } from "./consent.ts";
import { EXIT, printJson, UsageError } from "./failure.ts";
import { loadConfig, onlyToken, openLocal } from "./providers.ts";

interface Options {
  keyFile?: string[];
  consent?: ConsentKind;
  json?: boolean;
}

type Purpose = PinRequest["purpose"];

const NONE: Record<Purpose, string> = {
  certificates: "No inserted token hides its certificates.",
  change:
    "No inserted token lets D-Sign change its PIN. Key files have a password, which is not changed here.",
};

/** Asks for the passwords of key files that the person named, where they hide their certificates. */
export async function openNamedFiles(
  signing: Pick<Signing, "tokens" | "tokenPin">,
  keyFiles: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (keyFiles.length === 0) return;
  const named = keyFiles.map((file) => resolve(file));
  for (const place of (await signing.tokens.list()).places) {
    const { hidesCertificates, driver } = place.token;
    if (!hidesCertificates || !named.includes(driver)) continue;
    await signing.tokenPin(place, "certificates", { asker: OWN, signal });
  }
}

const OWN = { origin: null, trustedSince: null, purpose: null };

/** @param list prints what is listed after an unlocking */
export function addPinCommands(
  tokens: Command,
  context: Context,
  action: Action,
  list: (tokens: Tokens, inventory: Inventory, json: boolean) => void,
): void {
  const { readerCommand, readerWorker: module, signal } = context;
  const ask = async (purpose: Purpose, uri: string | undefined, options: Options) => {
    const { config, paths } = await loadConfig();
    const audit = new Audit(paths.audit);
    const reader = openCommandReader(1, { module, command: readerCommand });
    const all = await openLocal(config, context, reader, options.keyFile);
    try {
      const providers = uri === undefined ? all : onlyToken(all, uri);
      const { departmentalPolicies, postQuantum } = config;
      const inserted = new Tokens(providers, () => new Date(), departmentalPolicies, postQuantum);
      const { places } = await inserted.list();
      const fitting = places.filter(({ token }) =>
        purpose === "change" ? token.newPin : token.hidesCertificates
      );
      if (fitting.length === 0) throw new UsageError(NONE[purpose]);
      if (fitting.length > 1) {
        const uris = fitting.map(({ token }) => `  '${token.uri}'`).join("\n");
        throw new UsageError(`Several tokens are inserted. Name one of them:\n${uris}`);
      }
      const consent = consentFor(config, options.consent);
      await askTokenPin(fitting[0], purpose, new Map(), consent, { asker: OWN, signal }, audit);
      const json = options.json ?? false;
      if (purpose === "certificates") list(inserted, await inserted.list(), json);
      else if (json) printJson({ changed: fitting[0].token.uri });
      else console.log("The PIN has been changed.");
      return EXIT.ok;
    } finally {
      audit.close();
      await reader.close();
      await Promise.all(all.map((provider) => provider.close()));
    }
  };
  tokens.command("unlock [uri]")
    .description(
      "List the certificates that a token or key file shows only after its PIN or password.",
    )
    .option("--key-file <file>", "look at this key file (.p12, .pfx) too; repeatable", repeated)
    .addOption(consentOption())
    .option("--json", "print one JSON object: tokens, certificates, problems")
    .action(
      action((uri: string | undefined, options: Options) => ask("certificates", uri, options)),
    );
  tokens.command("pin [uri]")
    .description("Change a token's PIN. The token checks the current one, and counts a wrong one.")
    .addOption(consentOption())
    .option("--json", "print one JSON object: changed")
    .action(action((uri: string | undefined, options: Options) => ask("change", uri, options)));
}
