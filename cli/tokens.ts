import { type Credential, type Inventory, Tokens } from "../signing/tokens.ts";
import { ERRORS } from "../protocol/errors.ts";
import type { Certificate, Token } from "../protocol/methods.ts";
import { EXIT, printable, printJson } from "./failure.ts";
import { type AddCommand, repeated } from "./command.ts";
import { openCommandReader } from "../signing/reading.ts";
import { loadConfig, openProviders, remoteIf } from "./providers.ts";
import { addPinCommands } from "./token_pin.ts";

const STATES: Record<Token["state"], string> = {
  ready: "ready",
  pin_low: "ready; a wrong PIN was typed recently",
  pin_final_try: "one more wrong PIN will lock it",
  pin_locked: "PIN locked; the token's issuer can unlock it",
  pin_not_set: "no PIN set",
  empty: "empty (not initialised)",
};

/** `dsign tokens` */
export const tokensCommand: AddCommand = (program, context, action) => {
  const { readerCommand, readerWorker: module } = context;
  const command = program.command("tokens")
    .enablePositionalOptions()
    .description("List the inserted tokens and their certificates. Never asks for a PIN.")
    .option(
      "--key-file <file>",
      "also list this key file (.p12, .pfx); repeatable",
      repeated,
    )
    .option("--remote", "also list the configured remote signing services")
    .option("--json", "print one JSON object: tokens, certificates, problems")
    .addHelpText(
      "after",
      "\nExit code 4: no token was found, and a driver has a problem.",
    )
    .action(action(async (
      { keyFile, remote, json }: { keyFile?: string[]; remote?: boolean; json?: boolean },
    ) => {
      const { config } = await loadConfig();
      const reader = openCommandReader(1, { module, command: readerCommand });
      const chosen = remoteIf(remote, config);
      const providers = await openProviders(chosen, context, reader, keyFile);
      try {
        const { departmentalPolicies, postQuantum } = config;
        const tokens = new Tokens(providers, () => new Date(), departmentalPolicies, postQuantum);
        const inventory = await tokens.list();
        const { tokens: found, problems } = inventory;
        list(tokens, inventory, json ?? false);
        return found.length === 0 && problems.length > 0 ? EXIT.token : EXIT.ok;
      } finally {
        await reader.close();
        await Promise.all(providers.map((provider) => provider.close()));
      }
    }));
  addPinCommands(command, context, action, list);
};

function list(tokens: Tokens, inventory: Inventory, json: boolean): void {
  const { tokens: found, credentials, places, problems, works } = inventory;
  const described = credentials.map((credential) => tokens.describe(credential));
  const hides = (i: number) => places[i].token.hidesCertificates === true;
  if (json) {
    const marked = found.map((token, i) => ({ ...token, ...hides(i) && { hidden: true } }));
    return printJson({ tokens: marked, certificates: described, problems });
  }
  if (found.length === 0) console.log(works ? "No token is inserted." : "No token was found.");
  if (!works && problems.length === 0) console.log(ERRORS.driver_not_found.message);
  found.forEach((token, i) => {
    show(token, credentials, described);
    if (!hides(i)) return;
    console.log(printable(`  locked: it may show certificates after its PIN or password`));
    console.log(printable(`      dsign tokens unlock '${token.uri}'`));
  });
  const isAway = ({ key }: Credential) =>
    !places.some(({ token }) => token.uri === key.token.uri && token.driver === key.token.driver);
  if (credentials.some(isAway)) {
    console.log("Not inserted, or not usable:");
    credentials.forEach((each, i) =>
      isAway(each) && showCertificate(described[i], each.key.token.label)
    );
  }
  for (const { driver, message } of problems) {
    console.error(`dsign: ${printable(driver)}: ${printable(message)}`);
  }
}

function show(token: Token, credentials: Credential[], described: Certificate[]): void {
  const line = (text: string) => console.log(printable(text));
  line(`${token.label} — ${token.driver}, ${STATES[token.state]}`);
  line(`  ${token.uri}`);
  credentials.forEach(({ key }, i) => {
    if (key.token.uri === token.uri && key.token.driver === token.driver) {
      showCertificate(described[i]);
    }
  });
}

/** @param provider of the Windows store, where its token is not shown */
function showCertificate(described: Certificate, provider?: string): void {
  const line = (text: string) => console.log(printable(text));
  const { commonName, class: india, notAfter, id, issuer, usable, reason } = described;
  const kind = india === null ? "" : india === "otp_ekyc" ? ", OTP eKYC" : `, class ${india}`;
  line(`  ${usable ? "+" : "-"} ${commonName}${kind}, until ${notAfter.slice(0, 10)}`);
  line(`      issued by ${issuer}`);
  line(`      ${id}`);
  if (provider !== undefined) line(`      ${provider}`);
  if (reason) line(`      ${ERRORS[reason].message}`);
}
