/**
 * Signatures by way of an eSign service provider, where one is configured: the portal's calls, the page from which the
 * person's browser carries the request away, and the address to which it brings the answer.
 */
import { getLogger } from "@logtape/logtape";
import { CSC_LIMITS, NewEsign } from "../protocol/csc.ts";
import type { Esp } from "./esp.ts";
import { EspRefusal } from "./esp_answer.ts";
import { espEnd, espLanguage, espPage } from "./esp_page.ts";
import { CscError } from "./error.ts";
import { sameOrigin } from "./routes_page.ts";
import { checkRedirect, once, redirectTo } from "./routes_oauth.ts";
import type { EsignRow } from "./rows.ts";
import { access, type App, ParameterError, parse, readBody, type Service } from "./service.ts";

const log = getLogger(["dsign", "otp-service"]);

/** Path for the ESP's answers, below the public address. */
export const ESP_RESPONSE = "/esign/response";
/** An answer with one PKCS #7, as a form has it. */
const MAX_ANSWER = 512 * 1024;

export function addEsignRoutes(app: App, service: Service, esp: Esp): void {
  const { publicUrl, clients, language, name: serviceName } = service;

  /** To the portal, as long as the address is one of its own. */
  const back = ({ id, client, facts: { redirect, state, error, language } }: EsignRow) => {
    if (!clients.find((each) => each.id === client)?.redirectUris.includes(redirect)) {
      return page(espEnd(language, serviceName, "refused_over"), 400);
    }
    const location = redirectTo(redirect, { transaction: id, state, error: error?.code });
    return new Response(null, { status: 303, headers: { location } });
  };

  app.post("/portal/v1/esign", async (context) => {
    const request = context.req.raw;
    const { client: clientId } = await access(service, request);
    const params = parse(NewEsign, once(new URL(request.url).searchParams));
    const client = clients.find(({ id }) => id === clientId);
    if (!client) throw new CscError("unauthorized_client");
    checkRedirect(client, params.redirect_uri);
    const pdf = await readBody(request, CSC_LIMITS.document);
    const { redirect_uri: redirect, lang, ...rest } = params;
    const { id, ticket, expires } = await esp.start({
      ...rest,
      client: client.id,
      redirect,
      language: espLanguage(lang, language),
      pdf,
    });
    return context.json({
      transaction: id,
      location: `${publicUrl}/esign/${ticket}`,
      expires: new Date(expires).toISOString(),
    }, 201);
  });
  app.get("/portal/v1/esign/:transaction", async (context) => {
    const { client } = await access(service, context.req.raw);
    const { row, answer, receipt } = await esp.status(client, context.req.param("transaction"));
    const { signer, certificate, timestamped = false, longTerm = false, error } = row.facts;
    return context.json({
      transaction: row.id,
      kind: "esign",
      state: row.phase,
      expires: new Date(row.expires).toISOString(),
      ...row.phase === "signed" && { signer, certificate, timestamped, longTerm },
      ...row.phase === "failed" && { error },
      ...answer && { response: new Uint8Array(answer).toBase64() },
      ...receipt !== null && { receipt },
    });
  });
  app.get("/portal/v1/esign/:transaction/document", async (context) => {
    const { client } = await access(service, context.req.raw);
    const pdf = await esp.signed(client, context.req.param("transaction"));
    return new Response(new Uint8Array(pdf), { headers: { "content-type": "application/pdf" } });
  });

  app.get("/esign/:ticket{[A-Za-z0-9_-]{43}}", async (context) => {
    const found = await esp.page(context.req.param("ticket"));
    const client = clients.find(({ id }) => id === found?.row.client);
    const wished = espLanguage(
      context.req.query("lang"),
      found?.row.facts.language ?? language,
    );
    if (!found || !client) return page(espEnd(wished, serviceName, "over"), 404);
    const { row: { facts, expires }, action, fields } = found;
    const here = `${publicUrl}/esign/${context.req.param("ticket")}`;
    return page(
      espPage(wished, {
        service: serviceName,
        client: client.name,
        name: facts.name,
        purpose: facts.purpose,
        digest: facts.digest,
        until: expires,
        document: `${here}/document`,
        reject: `${here}/reject`,
        action,
        fields,
      }),
      200,
      [action, facts.redirect],
    );
  });
  app.post("/esign/:ticket{[A-Za-z0-9_-]{43}}/reject", async (context) => {
    sameOrigin(service, context.req.raw);
    const row = await esp.reject(context.req.param("ticket"));
    if (!row) return page(espEnd(espLanguage(undefined, language), serviceName, "over"), 404);
    return back(row);
  });
  app.get("/esign/:ticket{[A-Za-z0-9_-]{43}}/document", async (context) => {
    const pdf = await esp.preview(context.req.param("ticket"));
    if (!pdf) return page(espEnd(espLanguage(undefined, language), serviceName, "over"), 404);
    return new Response(new Uint8Array(pdf), { headers: { "content-type": "application/pdf" } });
  });
  app.post(ESP_RESPONSE, async (context) => {
    const request = context.req.raw;
    try {
      const row = await esp.finish(await readForm(request), request.headers.get("origin"));
      return back(row);
    } catch (error) {
      if (!(error instanceof EspRefusal)) throw error;
      const { code, message, language: own } = error;
      // Anybody can send what names no transaction of ours.
      const known = code !== "malformed" && code !== "unknown";
      log[known ? "warn" : "debug"]("An eSign answer does not count: {code} ({message})", {
        code,
        message,
      });
      const word = code === "unknown" || code === "over" ? "refused_over" : "refused";
      return page(espEnd(espLanguage(own, language), serviceName, word), 400);
    }
  });
}

/** A form as browsers send one, in either encoding; files in it are none of ours. */
async function readForm(request: Request): Promise<Record<string, string>> {
  const body = await readBody(request, MAX_ANSWER);
  const type = request.headers.get("content-type") ?? "";
  let form: FormData;
  try {
    form = await new Response(body, { headers: { "content-type": type } }).formData();
    return once([...form].filter((each): each is [string, string] => typeof each[1] === "string"));
  } catch (error) {
    if (error instanceof TypeError || error instanceof ParameterError) {
      throw new EspRefusal("malformed", error.message);
    }
    throw error;
  }
}

/**
 * Nothing inline and nothing from elsewhere. The form goes to the ESP, which may send it on to another of its hosts: browsers
 * hold `form-action` against redirects too.
 */
function page(text: string, status: number, targets: readonly string[] = []): Response {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    ["form-action 'self'", ...targets.map((url) => new URL(url).origin), "https:"].join(" "),
    "frame-ancestors 'none'",
  ];
  return new Response(text, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy.join("; "),
      // The ESP may look at who sends; the ticket in the address is not for it.
      "referrer-policy": "strict-origin",
    },
  });
}
