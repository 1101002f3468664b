/** `dsign otp-service user certificates` and `revoke` */
import type { Command } from "commander";
import type { Action, Context } from "../command.ts";
import { printJson, UsageError } from "../failure.ts";
import {
  operator,
  type ServiceOptions,
  serviceOptions,
  withService,
  withStore,
} from "./service_command.ts";

export function addCertificates(user: Command, context: Context, action: Action): void {
  serviceOptions(user.command("certificates <userID>"), "print one JSON object: certificates")
    .description("List a person's certificates, newest first.")
    .action(
      action((userID: string, options: ServiceOptions) =>
        withStore(options, async ({ store }) => {
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
  serviceOptions(user.command("revoke <serialNumber>"), "print one JSON object")
    .description("Revoke a certificate.")
    .requiredOption(
      "--reason <reason>",
      "keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn",
    )
    .action(
      action((serial: string, options: ServiceOptions & { reason: string }) =>
        withService(context, options, async ({ service: { authority } }) => {
          const { PORTAL_METHODS } = await import("../../protocol/csc.ts");
          const { params } = PORTAL_METHODS["POST /portal/v1/certificates/{serialNumber}/revoke"];
          const { data, error } = params.safeParse({ reason: options.reason });
          if (error) throw new UsageError("--reason: see --help for the possible reasons.");
          const { reason } = data;
          if (!await authority.revoke(serial.toLowerCase(), reason, operator())) {
            throw new UsageError("No such certificate, or it is already revoked.");
          }
          if (options.json) printJson({ serialNumber: serial, revoked: true });
          else console.log("Revoked.");
        })
      ),
    );
}
