/** `dsign otp-service user`: the people who sign. */
import { type Command, Option } from "commander";
import type { Action, Context } from "../command.ts";
import { printable, printJson, UsageError } from "../failure.ts";
import { addCertificates } from "./certificates.ts";
import { operator, type ServiceOptions, serviceOptions, withService } from "./service_command.ts";

export function addPeople(service: Command, context: Context, action: Action): void {
  const user = service.command("user").description("Manage the people who sign.");
  serviceOptions(user.command("add <userID>"), "print one JSON object")
    .description("Enrol a person and send a link for creating the PIN.")
    .requiredOption("--name <name>", "name in certificates")
    .option("--role <role>", "e.g. Executive Engineer")
    .option("--email <address>")
    .option("--phone <number>", "e.g. +919800000000")
    .addOption(new Option("--language <language>").choices(["en", "bn", "hi"]).default("en"))
    .addOption(
      new Option("--otp <way>", "how to deliver the OTP").choices(["mail", "sms", "totp"])
        .default("mail"),
    )
    .option("--stored", "keep one key, instead of a new one for each signature")
    .option("--explicit", "the portal asks for PIN and OTP, instead of the service's own page")
    .action(
      action((userID: string, options: ServiceOptions & Record<string, unknown>) =>
        withService(context, options, async ({ service: { people } }) => {
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
  serviceOptions(user.command("list"), "print one JSON object: persons")
    .description("List all enrolled people.")
    .action(
      action((options: ServiceOptions) =>
        withService(context, options, async ({ service: { people } }) => {
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
      ),
    );
  serviceOptions(user.command("role <userID> <role>"), "print one JSON object")
    .description("Change a person's role in future certificates.")
    .action(
      action((userID: string, role: string, options: ServiceOptions) =>
        withService(context, options, async ({ service: { people } }) => {
          const { PORTAL_METHODS } = await import("../../protocol/csc.ts");
          const { params } = PORTAL_METHODS["POST /portal/v1/persons/{userID}/role"];
          if (!params.safeParse({ role }).success) {
            throw new UsageError("The role must be one line of at most 64 characters.");
          }
          await people.setRole(userID, role, operator());
          if (options.json) printJson({ userID, role });
          else console.log(`Changed the role of ${userID}.`);
        })
      ),
    );
  serviceOptions(user.command("add-credential <userID>"), "print one JSON object")
    .description("Add a credential, e.g. after a stored credential's certificate has expired.")
    .option("--stored", "keep one key, instead of a new one for each signature")
    .option("--explicit", "the portal asks for PIN and OTP, instead of the service's own page")
    .action(
      action((userID: string, options: ServiceOptions & { stored?: boolean; explicit?: boolean }) =>
        withService(context, options, async ({ service: { people } }) => {
          const added = await people.addCredential(userID, credentialOf(options), operator());
          if (options.json) printJson({ userID, ...added });
          else console.log(`Added credential ${added.credentialID}.`);
        })
      ),
    );
  serviceOptions(user.command("lock <userID>"), "print one JSON object")
    .description("Lock a person. Signatures in progress are stopped.")
    .requiredOption("--reason <text>", "reason for the audit log")
    .action(
      action((userID: string, options: ServiceOptions & { reason: string }) =>
        withService(context, options, async ({ service: { people } }) => {
          await people.lock(userID, options.reason, operator());
          if (options.json) printJson({ userID, locked: true });
          else console.log(`Locked ${userID}.`);
        })
      ),
    );
  for (const name of ["unlock", "reset-pin"]) {
    serviceOptions(user.command(`${name} <userID>`), "print one JSON object")
      .description(
        name === "unlock"
          ? "Unlock a person and send a link for creating a new PIN."
          : "Send a person a new link for creating the PIN.",
      )
      .requiredOption(
        "--proof <text>",
        "how you verified the person's identity; stored in the audit log",
      )
      .action(
        action((userID: string, options: ServiceOptions & { proof: string }) =>
          withService(context, options, async ({ service: { people } }) => {
            const enrolment = await people.unlock(userID, options.proof, operator());
            if (options.json) printJson({ userID, enrolment });
            else tellEnrolment(enrolment);
          })
        ),
      );
  }
  addCertificates(user, context, action);
}

function credentialOf({ stored, explicit }: { stored?: unknown; explicit?: unknown }) {
  return {
    kind: stored ? "stored" as const : "one-time" as const,
    mode: explicit ? "explicit" as const : "oauth2code" as const,
  };
}

function tellEnrolment(enrolment: { sent: string } | { link: string }): void {
  if ("sent" in enrolment) console.log(`Sent the link for creating the PIN by ${enrolment.sent}.`);
  else {
    console.log("No mail or SMS is configured. Give this link to the person, and to nobody else:");
    console.log(`\n    ${enrolment.link}\n`);
  }
}
