/** How a person is asked for an OTP in plain text: at the terminal and in pinentry. */
import type { OtpRequest } from "../../protocol/consent.ts";
import { printable } from "./text.ts";

const MAX_NAMES = 3;

/** The OTP that is wanted, what for and by whom. */
export function describeOtp({ asker, names, service, description }: OtpRequest): string {
  const shown = names.filter((name) => name !== "").slice(0, MAX_NAMES).map(printable);
  return [
    `${printable(service)} wants an OTP for the signature that you have just agreed to.`,
    ...asker.origin ? [`For ${printable(asker.origin)}`] : [],
    ...shown.map((name) => `* ${name}`),
    ...description ? [`The service says: ${printable(description)}`] : [],
  ].join("\n");
}
