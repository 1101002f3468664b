/** Shared by the routes: the service's parts, the caller, and how requests are read and answered. */
import type { Context, Hono } from "hono";
import type * as z from "zod";
import { invalid } from "../protocol/csc.ts";
import { isWellFormed } from "../protocol/envelope.ts";
import type { Authority } from "./authority.ts";
import type { Ceremony } from "./ceremony.ts";
import { readBounded, TooLongError } from "../online/http.ts";
import { CscError, toCscError } from "./error.ts";
import type { Esp } from "./esp.ts";
import type { ServiceReader } from "./reading.ts";
import type { KeyStore } from "./keys.ts";
import type { LevelOptions } from "./levels.ts";
import type { Ways } from "./messages.ts";
import type { ChangePin } from "./change_pin.ts";
import type { People } from "./people.ts";
import type { TokenOf } from "./rows.ts";
import { sameText, sha256 } from "./secrets.ts";
import type { Store } from "./store.ts";
import type { Tickets } from "./tickets.ts";

/** A program that may call: the portal's server, an administrator's tool. */
export interface Client {
  readonly id: string;
  /** Shown to signatories. */
  readonly name: string;
  /** SHA-256 of the secret, hex; the secret must be random, 128 bits at least. A public client has none (RFC 6749 §2.1). */
  readonly secretHash?: string;
  /** Of the one before, while it is rotated. */
  readonly earlierSecretHash?: string;
  /** Exact addresses to which a signatory is sent back. */
  readonly redirectUris: readonly string[];
  /** May ask for anybody's credentials by name, and so learns who has one. */
  readonly listsPersons: boolean;
  /** May enrol people, revoke and read the audit. */
  readonly admin: boolean;
}

export interface Service {
  /** Reads strangers' documents and answers. */
  readonly reader: ServiceReader;
  readonly store: Store;
  readonly keys: KeyStore;
  readonly authority: Authority;
  readonly ceremony: Ceremony;
  readonly people: People;
  readonly changePin: ChangePin;
  readonly tickets: Tickets;
  readonly ways: Ways;
  readonly clients: readonly Client[];
  /** As browsers and portals see it: `https://sign.example`; no slash at its end. */
  readonly publicUrl: string;
  readonly name: string;
  readonly organization: string;
  /** ISO 3166-1. */
  readonly country: string;
  readonly language: string;
  /** Digits of an OTP that is sent. */
  readonly otpDigits: number;
  readonly tsa?: string;
  /** The eSign service provider, which signs for people with an eKYC, if the department has one. */
  readonly esp?: Esp;
  readonly validationData: LevelOptions["validationData"];
  /** Folder of the built pages, ending in a slash. */
  readonly web: URL;
}

export type App = Hono;

/** Lifetimes in milliseconds. */
export const LIFETIME = {
  access: 3_600_000,
  refresh: 30 * 24 * 3_600_000,
  code: 60_000,
  /** As long a code that was used is remembered. */
  spent: 3_600_000,
  pushed: 90_000,
  document: 30 * 60_000,
} as const;

/**
 * The body, as long as it may be.
 *
 * @throws {CscError} `too_large`
 */
export async function readBody(
  request: Pick<Request, "headers" | "body">,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readBounded(request, most);
  } catch (error) {
    if (error instanceof TooLongError) throw new CscError("too_large");
    throw error;
  }
}

/** @throws {SyntaxError} also where a string holds half of a character, which no database and no certificate keeps */
export function parseJson(text: string): unknown {
  if (!isWellFormed(text)) throw new SyntaxError("half of a character");
  return JSON.parse(text);
}

/**
 * A JSON object; an empty body is an empty one.
 *
 * @throws {CscError} `too_large`, `body_malformed`
 */
export async function readJson(
  request: Request,
  most: number,
): Promise<Record<string, unknown>> {
  const body = await readBody(request, most);
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new CscError("body_malformed");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CscError("body_malformed");
  }
  return value as Record<string, unknown>;
}

/** A wrong parameter, in the specification's words. */
export class ParameterError extends Error {
  override readonly name = "ParameterError";
}

/** @throws {ParameterError} */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const { data, error } = schema.safeParse(value, { error: invalid });
  if (error) throw new ParameterError(error.issues[0].message);
  return data as z.output<S>;
}

/** `Authorization: Bearer …`; §11: what is no such header is a malformed one. */
export function bearer(request: Request): string {
  const match = /^Bearer ([A-Za-z0-9._~+/=-]{1,6000})$/i.exec(
    request.headers.get("authorization") ?? "",
  );
  if (!match) throw new CscError("authorization_header");
  return match[1];
}

/** `Authorization: Basic …`, or null. */
export function basic(request: Request): { user: string; password: string } | null {
  const header = request.headers.get("authorization");
  if (header === null) return null;
  const match = /^Basic ([A-Za-z0-9+/=]{1,1024})$/i.exec(header);
  let text: string;
  try {
    if (!match) throw new SyntaxError();
    text = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(match[1]));
  } catch {
    throw new CscError("authentication_parameter");
  }
  const colon = text.indexOf(":");
  if (colon < 1) throw new CscError("username_password");
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Whether anybody may call in the name of this client: it is an app, which cannot keep a secret. */
export const isPublic = ({ secretHash }: Client): boolean => secretHash === undefined;

/** The client with this id and secret, or null; in the same time for either being wrong. */
export function clientBySecret(
  { clients }: Pick<Service, "clients">,
  id: string,
  secret: string,
): Client | null {
  const found = clients.find((client) => client.id === id);
  const hash = Uint8Array.fromBase64(sha256(secret), { alphabet: "base64url" }).toHex();
  const isRight = [found?.secretHash, found?.earlierSecretHash]
    .map((each) => sameText(hash, each ?? "none")).includes(true);
  return found && isRight ? found : null;
}

/** The client of a person who signed in directly: no client of the configuration has a colon in its name. */
export const personClient = (person: string) => `person:${person}`;

/**
 * Whether a token's client may still call. A client removed from the configuration is a stranger from then on, even
 * with a valid token.
 */
export function isKnown(
  { clients }: Service,
  { client, holder }: Pick<TokenOf<"access">, "client" | "holder">,
): boolean {
  return clients.some(({ id }) => id === client) ||
    (holder !== undefined && client === personClient(holder.person));
}

/** The ticket of an enrolment begins with it. */
export const ENROL = "enrol-";

/** Rights of an access token. */
export interface Access {
  token: string;
  client: string;
  /** For whom the client calls; absent: for itself. */
  person?: string;
  /** Where the token is a SAD. */
  transaction?: string;
  admin: boolean;
}

/** Of each request, so that its token is looked up once. */
const found = new WeakMap<Request, Promise<Access>>();

/**
 * The caller by the access token.
 *
 * @throws {CscError} `authorization_header`, `invalid_token`
 */
export function access(service: Service, request: Request): Promise<Access> {
  return found.getOrInsertComputed(request, () => lookUp(service, request));
}

async function lookUp(service: Service, request: Request): Promise<Access> {
  const token = bearer(request);
  const { store, people, clients } = service;
  const data = await store.read(async (tx) => {
    const found = await tx.read("access", token);
    const holder = found?.data.holder;
    if (holder && !await people.usable(tx, holder)) return null;
    return found?.data ?? null;
  });
  if (!data || !isKnown(service, data)) throw new CscError("invalid_token");
  const { client, holder, transaction } = data;
  const admin = !holder && clients.some((each) => each.id === client && each.admin);
  return { token, client, person: holder?.person, transaction, admin };
}

/** Address of a pushed request, before its value (RFC 9126 §2.2). */
export const REQUEST_URI = "urn:ietf:params:oauth:request_uri:";

/** The value of a pushed request's address; of any other text none that was ever given. */
export const pushedIn = (address: string): string =>
  address.startsWith(REQUEST_URI) ? address.slice(REQUEST_URI.length) : "";

/** Where a client may show its secret in a form, and how long that may be. */
const FORM = { path: /\/oauth2\/(pushed_authorize|token|revoke)$/, most: 64 * 1024 };

/** Whether a client shows its secret: in a header, or in a form (RFC 6749 §2.3.1). */
async function showsSecret(service: Service, request: Request, path: string): Promise<boolean> {
  const header = basic(request);
  if (header) return clientBySecret(service, header.user, header.password) !== null;
  const length = Number(request.headers.get("content-length") ?? Infinity);
  if (request.method !== "POST" || !FORM.path.test(path) || length > FORM.most) return false;
  const form = new URLSearchParams(await request.clone().text());
  const [id, secret] = ["client_id", "client_secret"].map((name) => form.get(name));
  return id !== null && secret !== null && clientBySecret(service, id, secret) !== null;
}

/** Whether it takes a look into the database to tell from whom a request is. */
export const bringsToken = (request: Request): boolean =>
  /^Bearer /i.test(request.headers.get("authorization") ?? "") ||
  new URL(request.url).searchParams.has("request_uri");

/**
 * Whether a request brings what this service gave to somebody that it knows: a client that shows its secret, or a browser
 * with that client's pushed request, a person who gave a PIN or was sent a link. A ticket for which anybody may have asked
 * is a stranger's.
 */
export async function isFromKnown(service: Service, request: Request): Promise<boolean> {
  const { pathname: path, searchParams } = new URL(request.url);
  const pushed = searchParams.get("request_uri");
  try {
    if (!bringsToken(request)) return await showsSecret(service, request, path);
    if (pushed === null && !path.startsWith("/otp/")) {
      await access(service, request);
      return true;
    }
    return await service.store.read(async (tx) => {
      if (pushed !== null) return await tx.read("pushed", pushedIn(pushed)) !== null;
      const value = bearer(request);
      return value.startsWith(ENROL)
        ? await tx.read("enrolment", value.slice(ENROL.length)) !== null
        : await tx.read("change", value) !== null ||
          ((await tx.read("ticket", value))?.data.pushed ?? false);
    });
  } catch {
    return false; // the route says why
  }
}

/** A failure as the specification has it (§10.2); what nobody foresaw is told to the log alone. */
export function failure(context: Context, error: unknown): Response {
  if (error instanceof ParameterError) {
    return context.json({ error: "invalid_request", error_description: error.message }, 400);
  }
  const { error: code, message, status } = toCscError(error);
  // the parameter's name in 1.0.4
  const text = context.req.path.startsWith("/csc/v1/")
    ? message.replace("hashAlgorithmOID", "hashAlgo")
    : message;
  return context.json(
    { error: code, error_description: text },
    status as 400,
    status === 401
      ? { "www-authenticate": "Bearer" }
      : status === 429 || status === 503
      ? { "retry-after": "5" }
      : {},
  );
}
