/**
 * The demonstration's PIN/OTP service: the product's own, with a separate configuration, and one engineer who has set a
 * PIN. Its keys are in SoftHSM if installed, otherwise in the embedded key store.
 */
import { openParts } from "../cli/otp/parts.ts";
import { hostCommand, readerCommand } from "../cli/host_command.ts";
import type { NoteKey } from "../formats/log/note.ts";
import { initService } from "../otp_service/init.ts";
import { createHandler } from "../otp_service/server.ts";
import type { DemoEsp } from "./demo_esp.ts";
import type { MailSink } from "./demo_mail.ts";
import { initToken, softHsm, softHsmFolder } from "./demo_tokens.ts";

const MAIN = new URL("../main.ts", import.meta.url).href;

/** The engineer. The PIN is not secret: it is printed for anyone who tries the demonstration. */
export const ENGINEER = {
  userID: "dghosh",
  name: "Dipankar Ghosh",
  role: "Executive Engineer",
  email: "dghosh@works.example",
  pin: "481572",
} as const;

/** A policy below the arc for examples (ITU-T X.660, 2.999). */
const POLICY = "2.999.6.1";

export interface DemoOtp {
  url: string;
  client: { id: string; secret: string };
  /** Distinguishes its signatures. */
  policy: string;
  /** The issuing authority, DER. */
  authority: Uint8Array;
  /** The key of its log. */
  logKey: NoteKey;
  close(): Promise<void>;
}

/**
 * Starts the service on a free loopback port.
 *
 * @param folder an empty or missing one
 * @param redirectUri address at which signatories return to the portal
 * @param web folder of the built pages, ending in a slash
 */
export async function startDemoOtp(
  folder: string,
  { redirectUri, mail, timestampAuthority, esp, web }: {
    redirectUri: string;
    esp?: Pick<DemoEsp, "settings">;
    mail: Pick<MailSink, "port" | "mails">;
    timestampAuthority: string;
    web: URL;
  },
): Promise<DemoOtp> {
  // The configuration needs the address, so the server is there before what answers.
  let handler = (_: Request): Response | Promise<Response> => new Response(null, { status: 503 });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handler(request),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  try {
    const { clientId, clientSecret } = await initService(folder, {
      organization: "Sample Works Department",
      publicUrl: url,
      policy: POLICY,
      redirectUris: [redirectUri],
    });
    const file = `${folder}/config.json`;
    const config = JSON.parse(await Deno.readTextFile(file));
    const keys = await moduleKeys(folder);
    await Deno.writeTextFile(
      file,
      JSON.stringify({
        ...config,
        smtp: { host: "127.0.0.1", port: mail.port, tls: "none", from: "otp@works.example" },
        tsa: timestampAuthority,
        ...esp && { esp: esp.settings },
        ...keys && { keys },
      }),
    );
    const parts = await openParts(file, {
      hostCommand: hostCommand(MAIN),
      readerCommand: readerCommand(MAIN),
      web,
    });
    handler = createHandler(parts.service);
    const close = async () => {
      await server.shutdown();
      await parts.close();
    };
    try {
      const client = { id: clientId, secret: clientSecret };
      await enrol(url, client, mail);
      const { authority: { certificate }, store } = parts.service;
      const logKey = store.log.signer.key;
      return { url, client, policy: POLICY, authority: certificate.der, logKey, close };
    } catch (error) {
      await parts.close();
      throw error;
    }
  } catch (error) {
    await server.shutdown();
    throw error;
  }
}

/** A separate SoftHSM token for the keys; null if SoftHSM is missing. */
async function moduleKeys(folder: string): Promise<Record<string, unknown> | null> {
  const module = await softHsm();
  if (module === null) return null;
  const at = `${folder}/softhsm`;
  await Deno.mkdir(at, { mode: 0o700 });
  const env = await softHsmFolder(at);
  await initToken(env, "otp-keys", ENGINEER.pin);
  await Deno.writeTextFile(`${at}/pin`, `${ENGINEER.pin}\n`, { mode: 0o600 });
  const token = "pkcs11:token=otp-keys";
  return { module, token, pinFile: `${at}/pin`, env, processes: 1 };
}

/** The administrator enrols the engineer, who sets the PIN by the link in the mail. */
async function enrol(
  url: string,
  client: DemoOtp["client"],
  mail: Pick<MailSink, "mails">,
): Promise<void> {
  const { pin, ...person } = ENGINEER;
  const token = await clientToken(url, client);
  await post(`${url}/portal/v1/persons`, person, token);
  const code = /#(enrol-\S+)/.exec(mail.mails.at(-1)?.text ?? "")?.[1];
  if (!code) throw new Error("The mail with the link to set the PIN did not come.");
  const answered = await post(`${url}/otp/answer`, { decision: "set_pin", pin }, code);
  if (answered.ok !== true) throw new Error(`The PIN was not set: ${JSON.stringify(answered)}`);
}

/** A service token of the portal (RFC 6749 §4.4). */
export async function clientToken(
  url: string,
  { id, secret }: DemoOtp["client"],
): Promise<string> {
  const { access_token } = await answerOf(
    await fetch(`${url}/oauth2/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: id,
        client_secret: secret,
      }),
    }),
  );
  return String(access_token);
}

/** POSTs JSON with a bearer token. @throws {Error} with the service's message */
export async function post(
  url: string,
  body: unknown,
  token: string,
): Promise<Record<string, unknown>> {
  return await answerOf(
    await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

/** @throws {Error} with the service's message */
export async function answerOf(response: Response): Promise<Record<string, unknown>> {
  const body = await response.json();
  if (!response.ok) {
    throw new Error(body.error_description ?? `The service answered with ${response.status}.`);
  }
  return body;
}
