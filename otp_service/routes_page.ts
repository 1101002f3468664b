/** The service's own page, where PIN and OTP are typed: nothing of them passes through the portal. */
import * as z from "zod";
import {
  type OtpAnswered,
  type OtpDocument,
  type OtpReply,
  type OtpSent,
  type OtpView,
} from "../protocol/csc.ts";
import { RULES, type Transaction } from "./authorize.ts";
import { type ConsentFacts, consentHash, consentText } from "./consent.ts";
import { hashPrefix } from "./delivery.ts";
import { CscError } from "./error.ts";
import { wayTo } from "./messages.ts";
import { codeFor, redirectTo } from "./routes_oauth.ts";
import { type App, bearer, parse, readJson, type Service } from "./service.ts";
import { hashByOid } from "./sign.ts";
import type { Facts, Person, TokenOf } from "./store.ts";

const MAX_REPLY = 64 * 1024;
/** Of a text that is shown within the page, in bytes. */
const MAX_TEXT = 256 * 1024;
const ENROL = "enrol-";
const TEXT = /^(text\/|application\/(json|xml)\b)|\+(json|xml)\b/;

const pin = z.string().min(1).max(64);
const Reply = z.discriminatedUnion("decision", [
  z.strictObject({ decision: z.literal("reject") }),
  z.strictObject({
    decision: z.literal("approve"),
    pin,
    otp: z.string().min(1).max(16),
    language: z.enum(["en", "bn", "hi"]),
  }),
  z.strictObject({ decision: z.literal("sign_in"), userID: z.string().max(64), pin }),
  z.strictObject({ decision: z.literal("set_pin"), pin, otp: z.string().max(16).optional() }),
  z.strictObject({
    decision: z.literal("change_pin"),
    userID: z.string().max(64),
    pin,
    newPin: pin,
  }),
]) satisfies z.ZodType<OtpReply>;

/** Adds the page, its files, and what it asks. */
export function addPageRoutes(app: App, service: Service): void {
  app.get("/otp", () => page(service, "otp.html"));
  app.get(
    "/web/:name{[A-Za-z0-9_-][A-Za-z0-9._/-]*}",
    (context) => page(service, context.req.param("name")),
  );
  app.get("/otp/view", async (context) => {
    const view = await viewOf(service, bearer(context.req.raw));
    return view ? context.json(view) : context.json({}, 404);
  });
  app.get("/otp/document", async (context) => {
    const ticket = await ticketOf(service, bearer(context.req.raw));
    const index = Number(context.req.query("index") ?? 0);
    const { store } = service;
    const document = ticket?.transaction === undefined ? null : await store.read(async (tx) => {
      const found = await tx.transaction({ id: ticket.transaction! });
      const hash = found?.transaction.binding?.hashes[index];
      return hash === undefined ? null : await tx.document(ticket.client, hash);
    });
    if (!document) return context.body(null, 404);
    return new Response(new Uint8Array(document.bytes), {
      headers: {
        "content-type": "application/octet-stream",
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
      },
    });
  });
  app.post("/otp/send", async (context) => {
    sameOrigin(service, context.req.raw);
    return context.json(await send(service, bearer(context.req.raw)));
  });
  app.post("/otp/answer", async (context) => {
    const request = context.req.raw;
    sameOrigin(service, request);
    const reply = parse(Reply, await readJson(request, MAX_REPLY));
    return context.json(await answer(service, request, reply));
  });
}

/** @throws {CscError} `access_denied` for what another site's page sends */
export function sameOrigin({ publicUrl }: Service, request: Request): void {
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== new URL(publicUrl).origin) throw new CscError("access_denied");
}

const ticketOf = ({ store }: Service, value: string): Promise<TokenOf<"ticket"> | null> =>
  store.read((tx) => tx.read("ticket", value)).then((found) => found?.data ?? null);

async function viewOf(service: Service, value: string): Promise<OtpView | null> {
  const { store, people, language, name, clients } = service;
  if (value.startsWith(ENROL)) {
    const found = await people.enrolment(value.slice(ENROL.length));
    return found && { kind: "enrol", service: name, ...found };
  }
  const ticket = await ticketOf(service, value);
  if (!ticket) return null;
  const client = clients.find(({ id }) => id === ticket.client)?.name ?? ticket.client;
  if (ticket.transaction === undefined) {
    return { kind: "sign_in", language, service: name, client };
  }
  return await store.read(async (tx): Promise<OtpView | null> => {
    const found = await tx.transaction({ id: ticket.transaction! });
    const row = found?.person ? await tx.person(found.person) : null;
    const credential = found && await tx.credential(found.transaction.credential);
    if (!found || !row || !credential || found.transaction.phase !== "open") return null;
    const { transaction, facts } = found;
    const { person } = row;
    const binding = transaction.binding!;
    const consent = (language: Person["language"]) =>
      consentText(language, consentFacts(service, person, found));
    const documents: OtpDocument[] = [];
    for (const [index, hash] of binding.hashes.entries()) {
      const shown = await tx.document(ticket.client, hash);
      documents.push({
        label: facts.labels[index],
        hash: Uint8Array.fromBase64(hash).toHex(),
        hashPrefix: hashPrefix(hash),
        ...shown && {
          shown: {
            name: shown.name,
            mediaType: shown.mediaType,
            size: shown.bytes.length,
            ...TEXT.test(shown.mediaType) && shown.bytes.length <= MAX_TEXT && {
              text: new TextDecoder().decode(shown.bytes),
            },
          },
        },
      });
    }
    return {
      kind: "sign",
      language: person.language,
      service: name,
      client,
      purpose: facts.purpose,
      hashAlgorithm: hashByOid(binding.hashAlgorithm),
      documents,
      signer: {
        name: person.name,
        ...person.role && { role: person.role },
        organization: service.organization,
      },
      credential: { kind: credential.kind, policy: service.authority.policy },
      consent: { en: consent("en"), bn: consent("bn"), hi: consent("hi") },
      otp: {
        way: person.otp,
        digits: service.otpDigits,
        to: reached(service, person),
        sendsLeft: RULES.sends - transaction.sends,
        ...transaction.sentAt !== undefined && {
          resendAt: new Date(transaction.sentAt + RULES.resendAfter).toISOString(),
        },
      },
      triesLeft: RULES.tries - transaction.attempts,
      deadline: new Date(transaction.createdAt + RULES.lifetime).toISOString(),
      now: new Date(tx.now).toISOString(),
    };
  });
}

/** Enough of an address for its owner to know it, and for nobody else: `a•••@works.example`, `•••• 0001`. */
function reached({ ways }: Service, person: Person): string | undefined {
  if (person.otp === "totp") return undefined;
  const way = wayTo(ways, person) ?? person.otp;
  return way === "mail"
    ? person.email?.replace(/^(.)[^@]*/, "$1•••")
    : person.phone && `•••• ${person.phone.slice(-4)}`;
}

async function send(service: Service, value: string): Promise<OtpSent> {
  const { store, ceremony } = service;
  const ticket = await ticketOf(service, value);
  if (ticket?.transaction === undefined) return { ok: false, code: "ended" };
  const codes = {
    otp_too_soon: "too_soon",
    otp_too_many: "too_many",
    otp_not_delivered: "not_delivered",
    credential_locked: "locked",
    sad_expired: "ended",
  } as const;
  let code: (typeof codes)[keyof typeof codes] | undefined;
  try {
    await ceremony.send(ticket.transaction);
  } catch (error) {
    if (!(error instanceof CscError && Object.hasOwn(codes, error.code))) throw error;
    code = codes[error.code as keyof typeof codes];
  }
  const found = await store.read((tx) => tx.transaction({ id: ticket.transaction! }));
  const { sentAt = store.now(), sends = 0 } = found?.transaction ?? {};
  const resendAt = new Date(sentAt + RULES.resendAfter).toISOString();
  return code
    ? { ok: false, code, resendAt }
    : { ok: true, resendAt, sendsLeft: RULES.sends - sends };
}

async function answer(
  service: Service,
  request: Request,
  reply: z.output<typeof Reply>,
): Promise<OtpAnswered> {
  const { people, ceremony, store } = service;
  switch (reply.decision) {
    case "change_pin": {
      const done = await people.changePin(reply.userID, reply.pin, reply.newPin);
      return done === "done"
        ? { ok: true }
        : { ok: false, code: done === "weak_pin" ? "weak_pin" : "wrong" };
    }
    case "set_pin": {
      const value = bearer(request);
      const code = value.startsWith(ENROL) ? value.slice(ENROL.length) : "";
      const done = await people.setPin(code, reply.pin, reply.otp);
      return done === "done" ? { ok: true } : {
        ok: false,
        code: done === "weak_pin" ? "weak_pin" : done === "nothing" ? "ended" : "wrong",
      };
    }
  }
  const value = bearer(request);
  const ticket = await ticketOf(service, value);
  if (!ticket) return { ok: false, code: "ended" };
  const denied = redirectTo(ticket.redirect, { error: "access_denied", state: ticket.state });
  const close = () => store.run((tx) => tx.revoke({ value }));
  const back = async (given: { person: string; sad?: string }): Promise<OtpAnswered> => {
    const code = await codeFor(service, ticket, given);
    await close();
    return { ok: true, redirect: redirectTo(ticket.redirect, { code, state: ticket.state }) };
  };
  if (reply.decision === "reject") {
    if (ticket.transaction !== undefined) await ceremony.end(ticket.transaction, "rejected");
    await close();
    return { ok: true, redirect: denied };
  }
  if (reply.decision === "sign_in") {
    if (ticket.transaction !== undefined) return { ok: false, code: "ended" };
    const person = await people.checkPin(reply.userID, reply.pin);
    return person ? await back({ person: person.id }) : { ok: false, code: "wrong" };
  }
  if (ticket.transaction === undefined) return { ok: false, code: "ended" };
  const { language, pin, otp } = reply;
  const consent = await store.read(async (tx) => {
    const found = (await tx.transaction({ id: ticket.transaction! }))!;
    const { person } = (await tx.person(found.person!))!;
    return consentHash(language, consentText(language, consentFacts(service, person, found)));
  });
  const answered = await ceremony.answer(ticket.transaction, { pin, otp }, { consent });
  if (answered.ok) return await back(answered);
  const { refusal, triesLeft } = answered;
  const code = refusal === "locked" ? "locked" : triesLeft === 0 ? "ended" : "wrong";
  if (code !== "wrong") await close();
  return { ok: false, code, triesLeft, ...code !== "wrong" && { redirect: denied } };
}

function consentFacts(
  { organization }: Service,
  { name }: Person,
  { transaction, facts }: { transaction: Transaction; facts: Facts },
): ConsentFacts {
  const count = transaction.binding!.hashes.length;
  return { name, count, purpose: facts.purpose, organization };
}

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  pfb: "application/octet-stream",
  svg: "image/svg+xml",
  ttf: "font/ttf",
  woff: "font/woff",
  woff2: "font/woff2",
};

/** Nothing inline, nothing from elsewhere, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

async function page({ web }: Service, name: string): Promise<Response> {
  const type = TYPES[name.split(".").at(-1)!];
  if (!type || /(^|\/)\.|\/\//.test(name)) return new Response(null, { status: 404 });
  try {
    return new Response(await Deno.readFile(new URL(name, web)), {
      headers: { "content-type": type, "content-security-policy": POLICY },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Response(null, { status: 404 });
    throw error;
  }
}
