/** Messages by SMS, through whatever HTTP gateway the department has. */
import { readBounded } from "../online/http.ts";
import { type Delivery, DeliveryError } from "./delivery.ts";

export interface SmsOptions {
  method: "GET" | "POST";
  /** `{to}`, `{text}` stand for number and message, encoded for a URL. */
  url: string;
  headers: Record<string, string>;
  /** POST: `{to}`, `{text}` are encoded as the content type asks: JSON strings, or a form. */
  body?: string;
  /** Text required in the answer besides a status of 2xx, because some gateways refuse with "OK". */
  success?: string;
}

const TIMEOUT = 15_000;
const MAX_ANSWER = 64 * 1024;

export function smsDelivery(options: SmsOptions): Delivery {
  const { method, url, headers, body, success } = options;
  const type = Object.entries(headers).find(([name]) => name.toLowerCase() === "content-type")?.[1];
  const inBody = type?.includes("json")
    ? (text: string) => JSON.stringify(text).slice(1, -1)
    : encodeURIComponent;
  return {
    async send(to, { text }) {
      if (!to.phone) throw new DeliveryError("The person has no phone number.");
      const values: Record<string, string> = { to: to.phone, text };
      const fill = (template: string, encode: (text: string) => string) =>
        template.replace(/\{(to|text)\}/g, (_, name) => encode(values[name]));
      let answer;
      let status;
      try {
        const response = await fetch(fill(url, encodeURIComponent), {
          method,
          headers,
          body: method === "POST" && body !== undefined ? fill(body, inBody) : undefined,
          redirect: "error",
          signal: AbortSignal.timeout(TIMEOUT),
        });
        status = response.status;
        answer = new TextDecoder().decode(await readBounded(response, MAX_ANSWER));
      } catch (error) {
        // not the error's own text: it may repeat the address, and so the message
        throw new DeliveryError(`The SMS gateway cannot be reached (${(error as Error).name}).`);
      }
      if (status < 200 || status > 299) {
        throw new DeliveryError(`The SMS gateway answered with status ${status}.`);
      }
      if (success !== undefined && !answer.includes(success)) {
        throw new DeliveryError("The SMS gateway did not say that it took the message.");
      }
    },
  };
}
