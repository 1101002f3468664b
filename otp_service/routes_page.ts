/** The service's own page, where PIN and OTP are typed: nothing of them passes through the portal. */
import type { HonoRequest } from "hono";
import * as z from "zod";
import { bytesSource } from "../formats/source.ts";
import type { OtpAnswered, OtpPlace, OtpReply, OtpSent } from "../protocol/csc.ts";
import { RULES } from "./authorize.ts";
import { consentHash, consentText } from "./consent.ts";
import { CscError } from "./error.ts";
import { pageFile } from "./page_files.ts";
import { consentFacts, viewOf } from "./page_view.ts";
import { pageCode } from "./refusals.ts";
import { openAuthorization, redirectTo } from "./routes_oauth.ts";
import type { Holder, TokenOf } from "./rows.ts";
import { type App, bearer, ENROL, parse, readJson, type Service } from "./service.ts";
import { giveCode } from "./tokens.ts";

const MAX_REPLY = 64 * 1024;
/** A signature over more of its page than this is told in red. */
const LARGE = 0.1;

const pin = z.string().min(1).max(64);
const otp = z.string().min(1).max(16);
const userID = z.string().max(64);
const Reply = z.discriminatedUnion("decision", [
  z.strictObject({ decision: z.literal("reject") }),
  z.strictObject({
    decision: z.literal("approve"),
    pin,
    otp,
    language: z.enum(["en", "bn", "hi"]),
  }),
  z.strictObject({ decision: z.literal("sign_in"), userID, pin }),
  z.strictObject({ decision: z.literal("set_pin"), pin, otp: z.string().max(16).optional() }),
  z.strictObject({ decision: z.literal("start_change"), userID, pin }),
  z.strictObject({ decision: z.literal("change_pin"), otp, newPin: pin }),
]) satisfies z.ZodType<OtpReply>;
type Reply<K extends OtpReply["decision"]> = Extract<OtpReply, { decision: K }>;

/** Adds the page, its files, and what it asks. */
export function addPageRoutes(app: App, service: Service): void {
  app.get("/otp", () => pageFile(service.web, "otp.html"));
  app.get(
    "/web/:name{[A-Za-z0-9_-][A-Za-z0-9._/-]*}",
    (context) => pageFile(service.web, context.req.param("name")),
  );
  app.get("/otp/view", async (context) => {
    const view = await viewOf(service, bearer(context.req.raw));
    return view ? context.json(view) : context.json({}, 404);
  });
  app.get("/otp/places", async (context) => {
    const document = await shownDocument(service, context.req);
    if (!document) return context.body(null, 404);
    const asking = { documents: [bytesSource(document.bytes)], origin: document.client };
    const places = await service.reader.ask("preparedPlaces", null, asking);
    return context.json(
      places.map(({ page, box, share }): OtpPlace => ({ page, box, large: share > LARGE })),
    );
  });
  app.get("/otp/document", async (context) => {
    const document = await shownDocument(service, context.req);
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

/** The document of a ticket that a request of the page names, if it is shown. */
async function shownDocument({ store }: Service, request: HonoRequest) {
  const value = bearer(request.raw);
  const index = Number(request.query("index") ?? 0);
  return await store.read(async (tx) => {
    const ticket = (await tx.read("ticket", value))?.data;
    if (ticket?.transaction === undefined) return null;
    const found = await tx.transaction({ id: ticket.transaction });
    const hash = found?.transaction.binding?.hashes[index];
    if (hash === undefined || !found?.transaction.shown?.includes(hash)) return null;
    const document = await tx.document(ticket.client, hash);
    return document && { ...document, client: ticket.client };
  });
}

/** @throws {CscError} `access_denied` for what another site's page sends */
export function sameOrigin({ publicUrl }: Service, request: Request): void {
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== new URL(publicUrl).origin) throw new CscError("access_denied");
}

async function send({ store, ceremony }: Service, value: string): Promise<OtpSent> {
  const id = await store.read(async (tx) => {
    const found = await tx.read("ticket", value) ?? await tx.read("change", value);
    return found?.data.transaction;
  });
  if (id === undefined) return { ok: false, code: "ended" };
  const sent = await ceremony.send(id);
  const found = await store.read((tx) => tx.transaction({ id }));
  const { sentAt = store.now(), sends = 0 } = found?.transaction ?? {};
  const resendAt = new Date(sentAt + RULES.resendAfter).toISOString();
  if (sent.ok) return { ok: true, resendAt, sendsLeft: RULES.sends - sends };
  const { refusal } = sent;
  const code = refusal === "not_delivered" ? refusal : pageCode(refusal) as "ended";
  return { ok: false, code, resendAt };
}

async function answer(service: Service, request: Request, reply: OtpReply): Promise<OtpAnswered> {
  const { people, changePin } = service;
  switch (reply.decision) {
    case "start_change": {
      const ticket = await changePin.start(reply.userID, reply.pin);
      return ticket === null ? { ok: false, code: "wrong" } : { ok: true, ticket };
    }
    case "change_pin": {
      const done = await changePin.finish(bearer(request), reply.otp, reply.newPin);
      return done.ok ? done : { ...done, waitUntil: time(done.waitUntil) };
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
  const ticket = await service.store.read((tx) => service.tickets.read(tx, value));
  if (!ticket) return { ok: false, code: "ended" };
  switch (reply.decision) {
    case "reject":
      return await reject(service, value, ticket);
    case "sign_in":
      return await signIn(service, value, ticket, reply);
    case "approve":
      return await approve(service, value, ticket, reply);
  }
}

const time = (at: number | undefined) => at === undefined ? undefined : new Date(at).toISOString();

const denied = ({ redirect, state }: TokenOf<"ticket">) =>
  redirectTo(redirect, { error: "access_denied", state });

const granted = ({ redirect, state }: TokenOf<"ticket">, code: string | null): OtpAnswered =>
  code === null
    ? { ok: false, code: "ended" }
    : { ok: true, redirect: redirectTo(redirect, { code, state }) };

async function reject(
  { store, ceremony }: Service,
  value: string,
  ticket: TokenOf<"ticket">,
): Promise<OtpAnswered> {
  const { transaction: id } = ticket;
  // of what nobody has signed in for, nothing has begun
  if (id !== undefined) {
    await store.run(async (tx) => {
      if (await tx.take("ticket", value)) await ceremony.endIn(tx, { id }, "rejected");
    });
  }
  return { ok: true, redirect: denied(ticket) };
}

/** The person signs in: for the portal to see the credentials, or before something is signed that a stranger may have asked for. */
async function signIn(
  service: Service,
  value: string,
  ticket: TokenOf<"ticket">,
  { userID, pin }: Reply<"sign_in">,
): Promise<OtpAnswered> {
  const { store, people, tickets } = service;
  if (ticket.transaction !== undefined) return { ok: false, code: "ended" };
  const holder = ticket.pushed
    ? await people.checkPin(userID, pin, "known", ticket.client)
    : await people.checkPin(userID, pin, "stranger");
  if (!holder) return { ok: false, code: "wrong" };
  const { request, client } = ticket;
  return await store.run(async (tx): Promise<OtpAnswered> => {
    if (!await people.usable(tx, holder)) return { ok: false, code: "wrong" };
    if (!request) return granted(ticket, await giveCode(tx, tickets, value, ticket, { holder }));
    const credential = await tx.credential(request.credential);
    if (credential?.person !== holder.person) return { ok: false, code: "wrong" };
    if (!await tickets.take(tx, value)) return { ok: false, code: "ended" };
    const transaction = await openAuthorization(service, tx, client, request);
    const next = { ...ticket, pushed: true, request: undefined, transaction };
    return { ok: true, ticket: await tx.issue(next, RULES.lifetime) };
  });
}

async function approve(
  service: Service,
  value: string,
  ticket: TokenOf<"ticket">,
  { language, pin, otp }: Reply<"approve">,
): Promise<OtpAnswered> {
  const { store, ceremony, tickets } = service;
  const id = ticket.transaction;
  if (id === undefined) return { ok: false, code: "ended" };
  const consent = await store.read(async (tx) => {
    const found = await tx.transaction({ id });
    const row = found && await tx.person(found.person);
    if (!found || !row) return null;
    return consentHash(language, consentText(language, consentFacts(service, row.person, found)));
  });
  if (consent === null) return { ok: false, code: "ended" };
  let code: string | null = null;
  const answered = await ceremony.answer(id, { pin, otp }, {
    consent,
    then: async (tx, { transaction, row }) => {
      const holder: Holder = { person: row.person.id, epoch: row.epoch };
      const given = { holder, transaction: id, sad: transaction.sad };
      code = await giveCode(tx, tickets, value, ticket, given);
    },
  });
  if (answered.ok) return granted(ticket, code);
  const { refusal, triesLeft, waitUntil } = answered;
  if (refusal === "wait") return { ok: false, code: "wait", triesLeft, waitUntil: time(waitUntil) };
  if (refusal === "wrong" && triesLeft > 0) return { ok: false, code: "wrong", triesLeft };
  await store.run((tx) => tx.revoke({ value }));
  const over = refusal === "locked" ? "locked" : "ended";
  return { ok: false, code: over, triesLeft, redirect: denied(ticket) };
}
