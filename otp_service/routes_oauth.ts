/** OAuth 2.0 as CSC API v2.0 §8.4 has it: authorization code with PKCE (S256 only), pushed requests, client credentials. */
import {
  AuthorizationDetails,
  DETAILS,
  OAuthAuthorize,
  OAuthRevoke,
  OAuthToken,
  OIDS,
} from "../protocol/csc.ts";
import { RULES } from "./authorize.ts";
import { CscError } from "./error.ts";
import { bind, facts } from "./request.ts";
import type { AuthorizationRequest } from "./rows.ts";
import { token } from "./secrets.ts";
import {
  type App,
  basic,
  type Client,
  clientBySecret,
  isPublic,
  LIFETIME,
  ParameterError,
  parse,
  parseJson,
  pushedIn,
  readBody,
  REQUEST_URI,
  type Service,
} from "./service.ts";
import type { Tx } from "./store.ts";
import { giveTokens, redeemCode, refresh, revoke } from "./tokens.ts";

const MAX_FORM = 64 * 1024;

/** Adds `/oauth2/…`, and the same under the API's own address, where some clients look. */
export function addOAuthRoutes(app: App, service: Service): void {
  app.get("/.well-known/oauth-authorization-server", (context) => context.json(metadata(service)));
  for (const base of ["", "/csc/v2.2", "/csc/v2", "/csc/v1"]) {
    app.get(
      `${base}/oauth2/authorize`,
      (context) => authorize(service, new URL(context.req.url).searchParams),
    );
    app.post(`${base}/oauth2/pushed_authorize`, async (context) => {
      const form = await readForm(context.req.raw);
      const client = authenticate(service, context.req.raw, form);
      const { client_id: _, client_secret: _secret, ...parameters } = form;
      const whole = { ...parameters, client_id: client.id };
      checkRedirect(client, parse(OAuthAuthorize, whole).redirect_uri);
      const pushed = { kind: "pushed" as const, client: client.id, parameters: whole };
      const value = isPublic(client)
        ? short(service.tickets.push(pushed, LIFETIME.pushed), client)
        : await service.store.run((tx) => tx.issue(pushed, LIFETIME.pushed));
      return context.json(
        { request_uri: REQUEST_URI + value, expires_in: LIFETIME.pushed / 1000 },
        201,
      );
    });
    app.post(`${base}/oauth2/token`, async (context) => {
      const form = await readForm(context.req.raw);
      const parameters = parse(OAuthToken, form);
      const client = authenticate(service, context.req.raw, form);
      const issued = await giveToken(service, client, parameters);
      // 1.0.4 §8.3.3 calls the token of a credential so
      const token_type = base === "/csc/v1" && "credentialID" in issued ? "SAD" : "Bearer";
      return context.json({ ...issued, token_type }, 200, { "cache-control": "no-store" });
    });
    app.post(`${base}/oauth2/revoke`, async (context) => {
      const form = await readForm(context.req.raw);
      const client = authenticate(service, context.req.raw, form);
      await revoke(service, parse(OAuthRevoke, form).token, client.id);
      return context.body(null, 204);
    });
  }
}

/** What OAuth clients may ask for, and where (RFC 8414). */
function metadata({ publicUrl: issuer, clients }: Service) {
  const at = (path: string) => `${issuer}/oauth2/${path}`;
  const methods = [
    ...["client_secret_basic", "client_secret_post"],
    ...clients.some(isPublic) ? ["none"] : [],
  ];
  return {
    issuer,
    authorization_endpoint: at("authorize"),
    pushed_authorization_request_endpoint: at("pushed_authorize"),
    token_endpoint: at("token"),
    token_endpoint_auth_methods_supported: methods,
    revocation_endpoint: at("revoke"),
    revocation_endpoint_auth_methods_supported: methods,
    scopes_supported: ["service", "credential"],
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code", "client_credentials", "refresh_token"],
    code_challenge_methods_supported: ["S256"],
    authorization_details_types_supported: Object.values(DETAILS),
  };
}

/** A form; a name that stands twice is refused (RFC 6749 §3.1). */
async function readForm(request: Request): Promise<Record<string, string>> {
  const text = new TextDecoder().decode(await readBody(request, MAX_FORM));
  return once(new URLSearchParams(text));
}

/** @throws {ParameterError} for a name that stands twice */
export function once(parameters: Iterable<[string, string]>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of parameters) {
    if (Object.hasOwn(found, name)) throw new ParameterError(`Invalid parameter ${name}`);
    found[name] = value;
  }
  return found;
}

/** The client that shows its secret; of a public one nothing is shown but its name, whatever else it sends. */
function authenticate(
  service: Service,
  request: Request,
  form: Record<string, string>,
): Client {
  const header = basic(request);
  const id = header?.user ?? form.client_id;
  const secret = header?.password ?? form.client_secret;
  if (id === undefined) throw new CscError("client_id_missing");
  const known = service.clients.find((each) => each.id === id);
  if (known && isPublic(known)) return known;
  if (secret === undefined) throw new CscError("client_secret_missing");
  const client = clientBySecret(service, id, secret);
  if (client) return client;
  // Not in the audit, which strangers could fill with it; the reason goes to the log.
  throw new CscError(known ? "client_secret_invalid" : "client_id_invalid", "not authenticated");
}

/** @throws {ParameterError} for an address that is not one of the client's, letter by letter */
export function checkRedirect(client: Client, uri: string): void {
  if (!client.redirectUris.includes(uri)) {
    throw new ParameterError("Invalid parameter redirect_uri");
  }
}

/** Configured address to which the browser returns with a result. */
export function redirectTo(
  redirect: string,
  result: Record<string, string | undefined>,
): string {
  const url = new URL(redirect);
  for (const [name, value] of Object.entries(result)) {
    if (value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}

/** `oauth2/authorize`: from here on the person's browser is at our own page. */
async function authorize(service: Service, query: URLSearchParams): Promise<Response> {
  let form = once(query);
  const client = service.clients.find(({ id }) => id === form.client_id);
  if (!client) throw new CscError("client_id_invalid");
  const isPushed = form.request_uri !== undefined;
  if (isPushed) {
    const value = pushedIn(form.request_uri);
    const pushed = isPublic(client)
      ? service.tickets.pushed(value)
      : (await service.store.run((tx) => tx.take("pushed", value)))?.data;
    if (pushed?.client !== client.id) throw new ParameterError("Invalid parameter request_uri");
    form = pushed.parameters;
  }
  // Before the address is known to be good, nobody is sent to it.
  checkRedirect(client, form.redirect_uri ?? "");
  const isProven = isPushed && !isPublic(client);
  try {
    const ticket = await openTicket(service, client, parse(OAuthAuthorize, form), isProven);
    return to(`${service.publicUrl}/otp#${ticket}`);
  } catch (error) {
    if (!(error instanceof ParameterError || error instanceof CscError)) throw error;
    return to(redirectTo(form.redirect_uri, {
      error: error instanceof CscError ? error.error : "invalid_request",
      error_description: error.message,
      state: form.state,
    }));
  }
}

const to = (location: string) =>
  new Response(null, { status: 302, headers: { location, "cache-control": "no-store" } });

/**
 * Only a client that showed its secret, in a pushed request, opens an authorization at once. Anybody can send a browser here
 * with a client's name: then the person signs in first, and strangers neither send OTPs nor fill the audit.
 */
async function openTicket(
  service: Service,
  client: Client,
  request: OAuthAuthorize,
  pushed: boolean,
): Promise<string> {
  const { store, tickets } = service;
  const ticket = {
    kind: "ticket" as const,
    client: client.id,
    pushed,
    redirect: request.redirect_uri,
    state: request.state,
    challenge: request.code_challenge,
  };
  const details = request.authorization_details;
  if (request.scope === "service" && details === undefined) {
    if (!pushed) return short(tickets.ask(ticket), client);
    return await store.run((tx) => tx.issue(ticket, RULES.lifetime));
  }
  const { credentialID, binding, labels, type } = details === undefined
    ? fromParameters(request)
    : fromDetails(details);
  const asked = {
    credential: credentialID,
    binding,
    facts: {
      ...facts(request.description, binding.hashes.length, labels),
      ...type && { details: type },
    },
  };
  const credential = await store.read((tx) => tx.credential(credentialID));
  if (credential?.mode !== "oauth2code") throw new CscError("credential_invalid");
  if (!pushed) return short(tickets.ask({ ...ticket, request: asked }), client);
  return await store.run(async (tx) => {
    const transaction = await openAuthorization(service, tx, client.id, asked);
    return await tx.issue({ ...ticket, transaction }, RULES.lifetime);
  });
}

function short(sealed: string | null, client: Client): string {
  if (sealed !== null) return sealed;
  const help = isPublic(client) ? "" : ": push it (RFC 9126)";
  throw new ParameterError(`The request is too long${help}`);
}

/** Opens what was asked for. What is shown of it is settled here: the documents that are there now. */
export async function openAuthorization(
  { ceremony }: Service,
  tx: Tx,
  client: string,
  { credential, ...asked }: AuthorizationRequest,
): Promise<string> {
  const found = await tx.credential(credential);
  if (!found) throw new CscError("credential_invalid");
  const shown = await tx.documentsOf(client, asked.binding.hashes);
  return await ceremony.openIn(tx, { client, credential: found, shown, ...asked });
}

function fromParameters(request: OAuthAuthorize) {
  const { credentialID, numSignatures, hash, hashAlgorithmOID = OIDS.sha256 } = request;
  const { hashes = hash } = request;
  if (!credentialID) throw new ParameterError("Missing parameter credentialID");
  if (!numSignatures) throw new ParameterError("Missing parameter numSignatures");
  // SCAL2: what is signed must be known when PIN and OTP are given
  if (!hashes) throw new ParameterError("Missing parameter hashes");
  const list = hashes.split(",").map((each) => {
    try {
      return Uint8Array.fromBase64(each.replaceAll("+", "-").replaceAll("/", "_"), {
        alphabet: "base64url",
      }).toBase64();
    } catch {
      throw new ParameterError("Invalid Base64 hash string parameter");
    }
  });
  return {
    credentialID,
    binding: exactly(list, hashAlgorithmOID, Number(numSignatures)),
    labels: undefined,
    type: undefined,
  };
}

function fromDetails(text: string) {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    throw new ParameterError("Invalid parameter authorization_details");
  }
  const [details] = parse(AuthorizationDetails, value);
  const { type, credentialID, documentDigests, hashAlgorithmOID } = details;
  const hashes = documentDigests.map(({ hash }) => hash);
  return {
    credentialID,
    binding: exactly(hashes, hashAlgorithmOID, details.numSignatures ?? hashes.length),
    labels: documentDigests.map(({ label }, i) => label || `${i + 1}`),
    type,
  };
}

/** On our page all hashes are known when PIN and OTP are given. */
function exactly(hashes: string[], hashAlgorithmOID: string, numSignatures: number) {
  if (!Number.isInteger(numSignatures) || numSignatures !== hashes.length) {
    throw new ParameterError("Invalid value for parameter numSignatures");
  }
  return bind({ hashes, hashAlgorithmOID, numSignatures });
}

async function giveToken(
  service: Service,
  client: Client,
  form: ReturnType<typeof OAuthToken.parse>,
): Promise<object> {
  const { store } = service;
  switch (form.grant_type) {
    case "client_credentials":
      if (isPublic(client)) throw new CscError("grant_unauthorized");
      return await store.run((tx) => {
        tx.audit({ event: "client.signed_in", client: client.id });
        return giveTokens(tx, { client: client.id }, token(), false);
      });
    case "refresh_token":
      if (!form.refresh_token) throw new ParameterError("Missing parameter refresh_token");
      return await refresh(service, form.refresh_token, client, "refresh_token_invalid");
  }
  const { code, code_verifier, redirect_uri } = form;
  if (!code) throw new ParameterError("Missing parameter code");
  const { authorized, ...tokens } = await redeemCode(service, client, {
    code,
    code_verifier,
    redirect_uri,
  });
  if (!authorized) return tokens;
  const { transaction: { binding }, facts } = authorized;
  const credentialID = authorized.transaction.credential;
  // RFC 9396 §7: what was granted
  const granted = {
    type: facts.details ?? DETAILS.v2,
    credentialID,
    numSignatures: binding!.hashes.length,
    documentDigests: binding!.hashes.map((hash, i) => ({ hash, label: facts.labels[i] })),
    hashAlgorithmOID: binding!.hashAlgorithm,
  };
  return { ...tokens, credentialID, authorization_details: [granted] };
}
