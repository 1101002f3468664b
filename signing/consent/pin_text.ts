/** How a person is asked for a token's PIN in plain text: at the terminal and in pinentry. */
import type { PinRequest } from "../../protocol/consent.ts";
import { printable } from "./text.ts";

/** Which token, what for and by whom. */
export function describePin({ asker, token, purpose, password, length }: PinRequest): string {
  const name = printable(token.label || token.model);
  const secret = password ? "password" : "PIN";
  return [
    purpose === "change"
      ? `Change the PIN of the token "${name}".`
      : `${password ? "The key file" : "The token"} "${name}" may show its certificates only ` +
        `after the ${secret}. They are read, and it is locked again. Nothing is signed.`,
    ...asker.origin ? [`For ${printable(asker.origin)}`] : [],
    ...purpose === "change" ? [describeLength(length)] : [],
  ].filter(Boolean).join("\n");
}

function describeLength({ min, max }: PinRequest["length"]): string {
  if (min && max) return `A new PIN has ${min} to ${max} characters.`;
  if (min) return `A new PIN has at least ${min} characters.`;
  return max ? `A new PIN has at most ${max} characters.` : "";
}
