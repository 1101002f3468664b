/** The sample portal's server: the treasury's page, the Technical Sanction pages, and the mail that was sent. */
import * as z from "zod";
import type { Refusal, SanctionSignature, SanctionView } from "../web/portal/sanction.ts";
import { MAX_CHECKED } from "../web/portal/checked.tsx";
import { mailPage, type MailSink } from "./demo_mail.ts";
import { type DemoRelease, demoRelease } from "./demo_release.ts";
import { type Sanction, SanctionError, type Sanctions } from "./demo_sanction.ts";

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  woff: "font/woff",
};

const MAX_DRAFT = 16 * 1024;
const MAX_SIGNATURE = 64 * 1024;
const MAX_PDF = 8 * 1024 * 1024;
const COOKIE = "dsign-demo-state";

/** Pages load nothing from elsewhere; the SDK talks to the agent on this computer. */
const POLICY = [
  "default-src 'self'",
  "connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const words = (most: number) => z.string().trim().min(1).max(most).regex(/^\P{Cc}+$/u);
const Draft = z.strictObject({
  project: z.string().transform((text) => text.replace(/\s+/g, " ")).pipe(words(300)),
  scheme: words(80),
  amount: z.string().max(24).regex(/^\d[\d,]*(\.\d{2})?$/),
});

/** Each says `ok`, or why what came does not count. */
export interface Checks {
  /** A signature over the bill. */
  bill(signature: Uint8Array): Promise<string>;
  /** A PDF. */
  order(signed: Uint8Array): Promise<string>;
  /** The bill's route, at its end. */
  route(signed: Uint8Array): Promise<string>;
  /** A signature over any file. */
  file(signature: Uint8Array, file: Uint8Array): Promise<string>;
}

export interface Portal {
  url: string;
  /** Gives it what the sanctions need; until then there are none. */
  open(parts: {
    sanctions: Sanctions;
    mail: Pick<MailSink, "mails">;
    checks: Checks;
  }): void;
  close(): Promise<void>;
}

/**
 * Listens on a free loopback port: another port than the agent's is another origin.
 *
 * @param web folder of the built pages, ending in a slash
 */
export function startPortal(web: URL): Portal {
  let parts: Parameters<Portal["open"]>[0] | undefined;
  let release: DemoRelease | null = null;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const response = await answer(request);
      response.headers.set("cache-control", "no-store");
      response.headers.set("content-security-policy", POLICY);
      response.headers.set("x-content-type-options", "nosniff");
      return response;
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}`;

  async function answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (request.headers.get("host") !== new URL(url).host) return notFound();
    if (pathname === "/") return await file(web, "portal.html");
    if (pathname === "/web/release.json") {
      release = await demoRelease(new URL("../", web), `${url}/downloads/`);
      return release ? new Response(release.manifest) : notFound();
    }
    const wanted = /^\/downloads\/([\w.-]+)$/.exec(pathname)?.[1] ?? "";
    const download = release?.files.get(wanted);
    if (download) {
      return new Response((await Deno.open(download)).readable, {
        headers: { "content-disposition": `attachment; filename="${wanted}"` },
      });
    }
    const asset = /^\/web\/(\w[\w./-]*)$/.exec(pathname)?.[1];
    if (asset !== undefined) return await file(web, asset);
    if (!parts) return notFound();
    const { sanctions, mail, checks } = parts;
    const [, what] = /^\/api\/check\/(bill|order|route|file)$/.exec(pathname) ?? [];
    if (what && request.method === "POST") {
      if (request.headers.get("origin") !== url) {
        return refuse(403, "This comes from another site.");
      }
      return await checked(checks, what as keyof Checks, request);
    }
    if (pathname === "/mail") return html(mailPage(mail));
    if (pathname === "/sanction" || /^\/verify\/[\w-]+$/.test(pathname)) {
      return await file(web, "sanction.html");
    }
    if (pathname === "/signed") return await comeBack(sanctions, request, searchParams);
    try {
      const [, id] = /^\/sanctions\/([\w-]+)\.pdf$/.exec(pathname) ?? [];
      if (id && request.method === "GET") {
        const { pdf, number } = sanctions.find(id);
        return new Response(new Uint8Array(pdf), {
          headers: {
            "content-type": "application/pdf",
            "content-disposition": `inline; filename="${number.replaceAll("/", "-")}.pdf"`,
          },
        });
      }
      const [, receiptOf] = /^\/sanctions\/([\w-]+)\.receipt$/.exec(pathname) ?? [];
      const receipt = receiptOf && sanctions.find(receiptOf).receipt;
      if (receipt) return new Response(receipt);
      return await api(sanctions, request, pathname, url);
    } catch (error) {
      if (!(error instanceof SanctionError)) throw error;
      return refuse(409, error.message);
    }
  }

  return { url, open: (made) => parts = made, close: () => server.shutdown() };
}

/** What the portal's page sends to be checked. */
async function checked(checks: Checks, what: keyof Checks, request: Request): Promise<Response> {
  const body = await read(request, what === "bill" ? MAX_SIGNATURE : MAX_CHECKED + MAX_SIGNATURE);
  if (!body) return refuse(413, "The file is too large.");
  const result = (result: string) => Response.json({ result });
  if (what === "order" || what === "route") return result(await checks[what](body));
  const form = what === "file" ? await tryForm(request, body) : null;
  const text = form ? form.get("signature") : new TextDecoder().decode(body);
  const signature = typeof text === "string" && tryBase64(text);
  if (!signature) return refuse(400, "This is no signature.");
  if (what === "bill") return result(await checks.bill(signature));
  const file = form?.get("file");
  if (!(file instanceof Blob)) return refuse(400, "This is no file.");
  return result(await checks.file(signature, await file.bytes()));
}

async function tryForm(
  { headers }: Request,
  body: Uint8Array<ArrayBuffer>,
): Promise<FormData | null> {
  try {
    return await new Response(body, {
      headers: { "content-type": headers.get("content-type") ?? "" },
    }).formData();
  } catch {
    return null;
  }
}

async function api(
  sanctions: Sanctions,
  request: Request,
  pathname: string,
  url: string,
): Promise<Response> {
  const [, id, part] = /^\/api\/sanctions(?:\/([\w-]+)(?:\/(otp|esign|pdf))?)?$/.exec(pathname) ??
    [];
  const { method } = request;
  // what another site's page sends carries that site's origin (Fetch §3.2)
  if (method !== "GET" && request.headers.get("origin") !== url) {
    return refuse(403, "This comes from another site.");
  }
  const view = (sanction: Sanction) => Response.json(viewOf(sanctions, sanction, url));
  if (method === "POST" && pathname === "/api/sanctions") {
    const body = await read(request, MAX_DRAFT);
    const { data } = Draft.safeParse(body && tryJson(body));
    if (!data) return refuse(400, "Fill in project, scheme and amount, as 12,50,000.00.");
    return view(sanctions.draft(data));
  }
  if (id && !part && method === "GET") return view(sanctions.find(id));
  if (id && (part === "otp" || part === "esign") && method === "POST") {
    sanctions.find(id);
    let started;
    try {
      started = await (part === "otp" ? sanctions.startOtp(id) : sanctions.startEsign(id));
    } catch (error) {
      return refuse(503, `The signing service did not answer: ${(error as Error).message}`);
    }
    // The ceremony ends in the browser in which it began, or not at all (RFC 6749 §10.12).
    const cookie = `${COOKIE}=${started.state}; Path=/signed; HttpOnly; SameSite=Lax; Max-Age=600`;
    return Response.json({ location: started.location }, { headers: { "set-cookie": cookie } });
  }
  if (id && part === "pdf" && method === "PUT") {
    const signed = await read(request, MAX_PDF);
    if (!signed) return refuse(413, "The file is too large.");
    sanctions.addToken(id, signed);
    return view(sanctions.find(id));
  }
  return notFound();
}

/** The browser comes back from the PIN/OTP service, or by its way from the eSign service provider. */
async function comeBack(
  sanctions: Sanctions,
  request: Request,
  query: URLSearchParams,
): Promise<Response> {
  const state = query.get("state") ?? "";
  const cookies = (request.headers.get("cookie") ?? "").split(/;\s*/);
  const pending = cookies.includes(`${COOKIE}=${state}`) ? sanctions.take(state) : null;
  const to = (where: Record<string, string>) =>
    new Response(null, {
      status: 303,
      headers: { location: `/sanction?${new URLSearchParams(where)}` },
    });
  if (!pending) return to({ problem: "This request is over. Start again from the order." });
  const { id } = pending.sanction;
  const code = query.get("code");
  try {
    if ("transaction" in pending) await sanctions.finishEsign(pending);
    else if (code) await sanctions.finishOtp(pending, code);
    else return to({ id, problem: "You did not sign. The order is as it was." });
    return to({ id });
  } catch (error) {
    const { message } = error as Error;
    const problem = error instanceof SanctionError ? message : `Nothing was signed: ${message}`;
    return to({ id, problem });
  }
}

function viewOf(sanctions: Sanctions, sanction: Sanction, url: string): SanctionView {
  const { id, number, date, project, scheme, amount, pdf } = sanction;
  const report = sanctions.verify(sanction);
  const place = sanctions.placeInLog(sanction, report);
  return {
    id,
    number,
    date: date.toISOString(),
    project,
    scheme,
    amount,
    size: pdf.length,
    verifyUrl: `${url}/verify/${id}`,
    hasEsign: sanctions.options.hasEsign,
    signatures: report.signatures.filter(({ kind }) => kind === "signature").map((each) => ({
      name: each.signer?.commonName ?? "Unknown",
      kind: (each.signer?.kind ?? "unknown") as SanctionSignature["kind"],
      level: each.level,
      indication: each.indication,
      time: each.provenTime ?? each.claimedTime,
      isProven: each.provenTime !== null,
      reason: each.reason,
      findings: each.findings.filter(({ severity }) => severity !== "notice")
        .map(({ message }) => message),
      ...place?.signatures.includes(each.id) &&
        { logged: { log: place.log, number: place.number, of: place.of } },
    })),
  };
}

function tryBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return null;
  }
}

async function read(
  request: Request,
  most: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of request.body ?? []) {
    if ((size += piece.length) > most) return null;
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function tryJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

async function file(web: URL, name: string): Promise<Response> {
  const type = TYPES[name.split(".").at(-1) ?? ""];
  if (type === undefined || name.includes("..")) return notFound();
  try {
    const body = await Deno.readFile(new URL(name, web));
    return new Response(body, { headers: { "content-type": type } });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return notFound();
    throw error;
  }
}

const html = (text: string) =>
  new Response(text, { headers: { "content-type": "text/html; charset=utf-8" } });

const notFound = () => refuse(404, "There is nothing here.");

const refuse = (status: number, message: string) =>
  Response.json({ message } satisfies Refusal, { status });
