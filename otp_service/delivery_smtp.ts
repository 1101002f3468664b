/** Messages by mail (RFC 5321). */
import { createTransport } from "nodemailer";
import { type Delivery, DeliveryError } from "./delivery.ts";

export interface SmtpOptions {
  host: string;
  port: number;
  /** `implicit`: TLS from the first byte (465); `starttls`: demanded; `none`: for a server on this machine. */
  tls: "implicit" | "starttls" | "none";
  user?: string;
  password?: string;
  /** The sender's address. */
  from: string;
}

/** Milliseconds for connecting, for the greeting and between answers. */
const TIMEOUT = 15_000;

export function smtpDelivery(options: SmtpOptions): Delivery & { close(): void } {
  const { host, port, tls, user, password, from } = options;
  const transport = createTransport({
    host,
    port,
    pool: true,
    secure: tls === "implicit",
    requireTLS: tls === "starttls",
    ignoreTLS: tls === "none",
    auth: user === undefined ? undefined : { user, pass: password },
    connectionTimeout: TIMEOUT,
    greetingTimeout: TIMEOUT,
    socketTimeout: TIMEOUT,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(to, { subject, text }) {
      if (!to.email) throw new DeliveryError("The person has no mail address.");
      try {
        await transport.sendMail({
          from,
          to: { name: to.name, address: to.email },
          subject,
          text,
          headers: { "Auto-Submitted": "auto-generated" }, // RFC 3834 §5
        });
      } catch (error) {
        const { code, responseCode, message } = error as Error & Record<string, unknown>;
        // once it has seen the message, what a server says may repeat it
        const why = code === "EMESSAGE" ? `status ${responseCode}` : message;
        throw new DeliveryError(`The mail server did not take it: ${why}`);
      }
    },
    close: () => transport.close(),
  };
}
