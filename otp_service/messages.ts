/** Which way a message goes to a person. */
import { type Delivery, DeliveryError, type Message } from "./delivery.ts";
import type { Person } from "./rows.ts";

/** The ways that are configured. */
export interface Ways {
  mail?: Delivery;
  sms?: Delivery;
}

/** How a person can be reached now; `undefined`: not at all. Whoever has an authenticator still has mail or a phone. */
export function wayTo(ways: Ways, person: Person): "mail" | "sms" | undefined {
  const order = person.otp === "sms" ? ["sms", "mail"] as const : ["mail", "sms"] as const;
  return order.find((way) => ways[way] && (way === "mail" ? person.email : person.phone));
}

/** @throws {DeliveryError} */
export async function sendTo(ways: Ways, person: Person, message: Message): Promise<void> {
  const way = wayTo(ways, person);
  if (!way) throw new DeliveryError("There is no way to send this person a message.");
  await ways[way]!.send(person, message);
}
