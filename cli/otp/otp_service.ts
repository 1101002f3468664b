/** `dsign otp-service`: the PIN/OTP service, its people and its audit. Its parts are loaded only when they are needed. */
import { type Command, Option } from "commander";
import { DsignError } from "../../protocol/errors.ts";
import { EXIT, printable, printJson, UsageError } from "../failure.ts";
import type { OtpParts } from "./parts.ts";
import { type AddCommand, type Context, repeated } from "../command.ts";

interface Common {
  config: string;
  json?: boolean;
}

const CONFIGURATION = `\
The configuration is one JSON file; \`init\` makes one. docs/otp-service.md describes its settings:
  publicUrl, listen, database, secretFile, name, organization, country, language, policy,
  authority, keys, keyType, otpDigits, clients, smtp, sms, tsa,
  esp  an eSign service provider: url, aspId, key, certificatesFile, anchorsFile, auth, origins`;

/** Whom the audit names for what is done on the command line. */
function operator(): string {
  return `command line: ${Deno.env.get("SUDO_USER") ?? Deno.env.get("USER") ?? "unknown"}`;
}

function credentialOf({ stored, explicit }: { stored?: unknown; explicit?: unknown }) {
  return {
    kind: stored ? "stored" as const : "one-time" as const,
    mode: explicit ? "explicit" as const : "oauth2code" as const,
  };
}

export const otpServiceCommand: AddCommand = (program, context, action) => {
  const service = program.command("otp-service")
    .description("Serve PIN/OTP signatures to the department's portal until it is stopped.")
    .enablePositionalOptions();
  const common = (command: Command, json: string) =>
    command
      .addOption(
        new Option("--config <file>", "the service's configuration")
          .env("DSIGN_OTP_CONFIG").default("otp-service/config.json"),
      )
      .option("--verbose", "log more")
      .option("--json", json);
  /** Runs with the service's parts. */
  const within = async (
    { config }: Common,
    work: (parts: OtpParts) => Promise<number | void>,
  ): Promise<number | void> => {
    const { openParts } = await import("./parts.ts");
    return await told(async () => {
      const parts = await openParts(config, context);
      try {
        return await work(parts);
      } finally {
        await parts.close();
      }
    });
  };

  common(service, "print one JSON object when it listens")
    .addHelpText("after", `\n${CONFIGURATION}`)
    .action(
      action((options: Common) => within(options, (parts) => serve(parts, context, options))),
    );

  service.command("init <folder>")
    .description("Make a service's files: secret, issuing authority, configuration.")
    .requiredOption("--organization <name>", "stands in certificates")
    .requiredOption("--policy <oid>", "the department's policy for its PIN/OTP signatures")
    .option("--public-url <url>", "as browsers see the service", "http://127.0.0.1:7795")
    .option(
      "--redirect-uri <url>",
      "where the portal gets its signatories back; may be given again",
      repeated,
      [],
    )
    .option("--json", "print one JSON object")
    .action(action(async (
      folder: string,
      options: {
        organization: string;
        policy: string;
        publicUrl: string;
        redirectUri: string[];
        json?: boolean;
      },
    ) => {
      const { initService } = await import("../../otp_service/init.ts");
      const { organization, policy, publicUrl, redirectUri: redirectUris, json } = options;
      await told(async () => {
        const made = await initService(folder, { organization, policy, publicUrl, redirectUris });
        if (json) return printJson({ folder, ...made });
        console.log(`Made ${folder}. The portal's client is "${made.clientId}", its secret`);
        console.log(`\n    ${made.clientSecret}\n`);
        console.log("stands nowhere else: give it to the portal now.");
      });
    }));

  const user = service.command("user").description("People who sign.");
  common(user.command("add <userID>"), "print one JSON object")
    .description("Enrol a person, who gets a link to set the PIN.")
    .requiredOption("--name <name>", "as in certificates")
    .option("--role <role>", "as Executive Engineer")
    .option("--email <address>")
    .option("--phone <number>", "as +919800000000")
    .addOption(new Option("--language <language>").choices(["en", "bn", "hi"]).default("en"))
    .addOption(
      new Option("--otp <way>", "how the OTP comes").choices(["mail", "sms", "totp"])
        .default("mail"),
    )
    .option("--stored", "a key that stays, instead of one for each signature")
    .option("--explicit", "the portal takes PIN and OTP, instead of the service's own page")
    .action(
      action((userID: string, options: Common & Record<string, unknown>) =>
        within(options, async ({ service: { people } }) => {
          const { NewPerson } = await import("../../protocol/csc.ts");
          const { name, role, email, phone, language, otp, stored, explicit } = options;
          const { data, error } = NewPerson.safeParse({
            userID,
            name,
            role,
            email,
            phone,
            language,
            otp,
            credential: credentialOf({ stored, explicit }),
          });
          if (error) {
            const [{ path, message }] = error.issues;
            throw new UsageError(`${path.join(".")}: ${message}`);
          }
          const added = await people.add(data, operator());
          if (options.json) return printJson({ userID, ...added });
          console.log(`Added ${userID}; credential ${added.credentialID}.`);
          tellEnrolment(added.enrolment);
        })
      ),
    );
  common(user.command("list"), "print one JSON object: persons")
    .description("List everyone who is enrolled.")
    .action(action((options: Common) =>
      within(options, async ({ service: { people } }) => {
        const persons = await people.list();
        if (options.json) return printJson({ persons });
        for (const { userID, name, state, reason, otp, credentials } of persons) {
          const kinds = credentials.map(({ kind, mode }) => `${kind} ${mode}`).join(", ");
          console.log(
            printable(
              `${userID}  ${name}  ${state}${reason ? ` (${reason})` : ""}  ${otp}  ${kinds}`,
            ),
          );
        }
      })
    ));
  common(user.command("role <userID> <role>"), "print one JSON object")
    .description("Change a person's role, for the certificates to come.")
    .action(
      action((userID: string, role: string, options: Common) =>
        within(options, async ({ service: { people } }) => {
          const { PORTAL_METHODS } = await import("../../protocol/csc.ts");
          const { params } = PORTAL_METHODS["POST /portal/v1/persons/{userID}/role"];
          if (!params.safeParse({ role }).success) {
            throw new UsageError("The role is one line of up to 64 characters.");
          }
          await people.setRole(userID, role, operator());
          if (options.json) printJson({ userID, role });
          else console.log(`Changed the role of ${userID}.`);
        })
      ),
    );
  common(user.command("add-credential <userID>"), "print one JSON object")
    .description("Give a person one more credential, as after a stored one's certificate.")
    .option("--stored", "a key that stays, instead of one for each signature")
    .option("--explicit", "the portal takes PIN and OTP, instead of the service's own page")
    .action(
      action((userID: string, options: Common & { stored?: boolean; explicit?: boolean }) =>
        within(options, async ({ service: { people } }) => {
          const added = await people.addCredential(userID, credentialOf(options), operator());
          if (options.json) printJson({ userID, ...added });
          else console.log(`Added credential ${added.credentialID}.`);
        })
      ),
    );
  common(user.command("certificates <userID>"), "print one JSON object: certificates")
    .description("List a person's certificates, the newest first.")
    .action(
      action((userID: string, options: Common) =>
        within(options, async ({ service: { store } }) => {
          const rows = await store.read((tx) => tx.certificatesOf(userID));
          const certificates = rows.map(({ serial, notAfter, revokedAt, reason }) => ({
            serialNumber: serial,
            notAfter: new Date(notAfter).toISOString(),
            ...revokedAt !== null && { revokedAt: new Date(revokedAt).toISOString(), reason },
          }));
          if (options.json) return printJson({ certificates });
          for (const { serialNumber, notAfter, revokedAt, reason } of certificates) {
            const state = revokedAt === undefined
              ? `until ${notAfter}`
              : `revoked ${revokedAt} (${reason})`;
            console.log(`${serialNumber}  ${state}`);
          }
        })
      ),
    );
  common(user.command("revoke <serialNumber>"), "print one JSON object")
    .description("Revoke a certificate.")
    .requiredOption(
      "--reason <reason>",
      "keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn",
    )
    .action(
      action((serial: string, options: Common & { reason: string }) =>
        within(options, async ({ service: { authority } }) => {
          const { PORTAL_METHODS } = await import("../../protocol/csc.ts");
          const { params } = PORTAL_METHODS["POST /portal/v1/certificates/{serialNumber}/revoke"];
          const { data, error } = params.safeParse({ reason: options.reason });
          if (error) throw new UsageError("--reason: one of those that --help names.");
          const { reason } = data;
          if (!await authority.revoke(serial.toLowerCase(), reason, operator())) {
            throw new UsageError("There is no such certificate, or it is revoked already.");
          }
          if (options.json) printJson({ serialNumber: serial, revoked: true });
          else console.log("Revoked.");
        })
      ),
    );
  common(user.command("lock <userID>"), "print one JSON object")
    .description("Lock a person: nothing is signed any more, whatever is under way.")
    .requiredOption("--reason <text>", "kept in the audit")
    .action(
      action((userID: string, options: Common & { reason: string }) =>
        within(options, async ({ service: { people } }) => {
          await people.lock(userID, options.reason, operator());
          if (options.json) printJson({ userID, locked: true });
          else console.log(`Locked ${userID}.`);
        })
      ),
    );
  for (const name of ["unlock", "reset-pin"]) {
    common(user.command(`${name} <userID>`), "print one JSON object")
      .description(
        name === "unlock"
          ? "Unlock a person, who sets a new PIN by a new link."
          : "Send a person a new link to set the PIN.",
      )
      .requiredOption("--proof <text>", "how you checked who the person is; kept in the audit")
      .action(
        action((userID: string, options: Common & { proof: string }) =>
          within(options, async ({ service: { people } }) => {
            const enrolment = await people.unlock(userID, options.proof, operator());
            if (options.json) printJson({ userID, enrolment });
            else tellEnrolment(enrolment);
          })
        ),
      );
  }

  const audit = service.command("audit").description("What happened; kept for seven years.");
  common(audit.command("show"), "print the lines as they are kept")
    .description("Show the last events.")
    .option("--last <count>", "how many", "50")
    .action(
      action((options: Common & { last: string }) =>
        within(options, async ({ service: { store } }) => {
          const count = Number(options.last);
          if (!Number.isInteger(count) || count < 1) {
            throw new UsageError("--last: a number from 1.");
          }
          const { seq } = await store.auditHead();
          for await (const line of store.audit(Math.max(1, seq - count + 1))) {
            if (options.json) {
              console.log(line);
              continue;
            }
            const { seq, time, event, previous: _, ...facts } = JSON.parse(line);
            console.log(printable(`${seq}  ${time}  ${event}  ${JSON.stringify(facts)}`));
          }
        })
      ),
    );
  common(audit.command("verify [file]"), "print one JSON object")
    .description("Check the chain of the database, or of an exported file.")
    .addHelpText(
      "after",
      "\nFile the number and hash it prints: a later check against them shows if all was written anew.",
    )
    .action(action(async (file: string | undefined, options: Common) => {
      const { verifyAudit } = await import("../../otp_service/audit.ts");
      const tell = (check: Awaited<ReturnType<typeof verifyAudit>>) => {
        if (options.json) printJson(check);
        else if (check.ok) {
          console.log(`${check.lines} lines are in order; the last is ${check.hash}.`);
        } else console.error(`dsign: ${check.problem}`);
        return check.ok ? EXIT.ok : EXIT.failed;
      };
      if (file !== undefined) return tell(await verifyAudit(linesOf(file)));
      return await within(options, async ({ service: { store } }) => {
        const head = await store.auditHead();
        const check = await verifyAudit(store.audit(), undefined);
        // lines that came meanwhile are in order too; fewer than there were are not
        return tell(
          check.ok && check.lines < head.seq
            ? { ...check, ok: false, problem: "Lines at the end are missing." }
            : check,
        );
      });
    }));
  common(audit.command("export"), "the same: one JSON object a line")
    .description("Print all lines, to be kept elsewhere.")
    .option("--from <number>", "only from this line on", "1")
    .action(
      action((options: Common & { from: string }) =>
        within(options, async ({ service: { store } }) => {
          const from = Number(options.from);
          if (!Number.isInteger(from) || from < 1) throw new UsageError("--from: a number from 1.");
          for await (const line of store.audit(from)) console.log(line);
          await store.run((tx) => {
            tx.audit({ event: "audit.exported", by: operator(), from });
            return Promise.resolve();
          });
        })
      ),
    );
};

async function serve({ config, service }: OtpParts, { signal }: Context, { json }: Common) {
  const { startService } = await import("../../otp_service/server.ts");
  const at = config.listen.lastIndexOf(":");
  const hostname = config.listen.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  const running = startService(service, { hostname, port: Number(config.listen.slice(at + 1)) });
  const esign = service.esp?.options;
  if (json) {
    printJson({
      port: running.port,
      ...esign && { esign: { url: esign.url, responseUrl: esign.responseUrl } },
    });
  } else {
    console.log(`The PIN/OTP service listens on ${hostname}:${running.port}. Ctrl-C ends it.`);
    if (esign) console.log(`eSign by ${esign.url}, which answers to ${esign.responseUrl}.`);
  }
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await running.close();
}

function tellEnrolment(enrolment: { sent: string } | { link: string }): void {
  if ("sent" in enrolment) console.log(`The link to set the PIN was sent by ${enrolment.sent}.`);
  else {
    console.log("No message can be sent. Hand this link to the person, and to nobody else:");
    console.log(`\n    ${enrolment.link}\n`);
  }
}

/** What an administrator can act on is told in words; anything else is a mistake of ours. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = ["SetupError", "CscError", "DeliveryError", "Pkcs11Error", "SignerError"];
    if (error instanceof Error && known.includes(error.name)) {
      // an administrator may know why, as the log does
      const { message, reason } = error as Error & { reason?: string };
      throw new DsignError("invalid_params", reason ? `${message}: ${reason}` : message);
    }
    throw error;
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  using file = await Deno.open(path);
  let rest = "";
  for await (const text of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
