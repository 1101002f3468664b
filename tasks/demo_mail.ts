/** A mail server of the demonstration: it takes everything, keeps it in memory, and shows it on a page. */
import type { AddressInfo } from "node:net";
import { html } from "hono/html";
import { SMTPServer } from "smtp-server";

export interface Mail {
  to: string;
  text: string;
  at: Date;
}

export interface MailSink {
  port: number;
  /** The newest last. */
  mails: readonly Mail[];
  close(): Promise<void>;
}

/** Limits of the mails and bytes that are kept: every user of this machine can reach it. */
const MAX_MAILS = 100;
const MAX_SIZE = 64 * 1024;

/** Listens on a free loopback port. */
export async function startMailSink(): Promise<MailSink> {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    size: MAX_SIZE,
    onData(stream, session, done) {
      let raw = "";
      stream.on("data", (piece: Uint8Array) => {
        if (raw.length < MAX_SIZE) raw += new TextDecoder("latin1").decode(piece);
      });
      stream.on("end", () => {
        const to = session.envelope.rcptTo.map(({ address }) => address).join(", ");
        mails.push({ to, text: textOf(raw), at: new Date() });
        if (mails.length > MAX_MAILS) mails.shift();
        done();
      });
    },
  });
  server.on("error", () => {}); // a connection that broke; the sender finds out by itself
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The text of a message of one part (RFC 2045 §6). */
function textOf(raw: string): string {
  const end = raw.indexOf("\r\n\r\n");
  const head = raw.slice(0, end).replace(/\r\n[ \t]+/g, " ");
  const body = raw.slice(end + 4);
  const encoding = /^content-transfer-encoding:\s*(\S+)/im.exec(head)?.[1].toLowerCase();
  const decoded = encoding === "base64"
    ? atob(body.replace(/\s/g, ""))
    : encoding === "quoted-printable"
    ? body.replace(/=\r\n/g, "").replace(
      /=([0-9A-F]{2})/gi,
      (_, hex) => String.fromCharCode(parseInt(hex, 16)),
    )
    : body;
  const bytes = Uint8Array.from(decoded, (letter) => letter.charCodeAt(0));
  return new TextDecoder().decode(bytes).trim();
}

/** The mails as a page, the newest first. */
export function mailPage({ mails }: Pick<MailSink, "mails">): string {
  const items = mails.toReversed().map(({ to, text, at }) =>
    html`
      <section>
        <h2>To ${to}, ${at.toISOString().slice(11, 19)} UTC</h2>
        <p class="mail">${text}</p>
      </section>
    `
  );
  return String(html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Mail of the demonstration</title>
        <link rel="icon" href="/web/icon.svg">
        <link rel="stylesheet" href="/web/style.css">
        <link rel="stylesheet" href="/web/sanction.css">
      </head>
      <body class="portal">
        <header class="masthead">
          <p><strong>Mail</strong><span>What the demonstration's mail server was given</span></p>
        </header>
        <main>
          <h1>Mail</h1>
          <p><a href="/mail">Look for new mail</a></p>
          ${items.length > 0 ? items : html`<p>No mail yet.</p>`}
        </main>
      </body>
    </html>
  `);
}
