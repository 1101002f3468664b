/** The methods of the contract, one function each. */
import type * as z from "zod";
import { bytesSource } from "../formats/source.ts";
import { openrpc } from "../protocol/openrpc.ts";
import { LIMITS, PROTOCOL_VERSION, type RequestId } from "../protocol/envelope.ts";
import { DsignError, type ErrorCode } from "../protocol/errors.ts";
import {
  type MethodName,
  METHODS,
  type NotificationParams,
  type ParsedParams,
  PdfOptions,
  type Result,
  type Scope,
} from "../protocol/methods.ts";
import type { Audit } from "../signing/audit.ts";
import { Content } from "../signing/content.ts";
import { toDsignError } from "../signing/errors.ts";
import { type Batches, manifestHash, Showing } from "../signing/batch.ts";
import { containerInput } from "../signing/container_input.ts";
import { Document, type Documents, isPdfType } from "../signing/documents.ts";
import { OWN } from "./console_pins.ts";
import type { AgentIdentity } from "./identity.ts";
import type { Origins } from "./origins.ts";
import type { Caller, Signing } from "../signing/sign.ts";
import type { Spool } from "../signing/spool.ts";
import type { Tokens } from "../signing/tokens.ts";
import { keptOf, type VerificationOptions } from "../signing/verification.ts";

/** One request of one connection. */
export interface Call {
  origin: string;
  /** Of the agent, at which the connection came in. */
  port: number;
  /** It is one of the agent's own pages: {@linkcode OWN_SCOPES}. */
  own: boolean;
  id: RequestId;
  documents: Documents;
  batches: Batches;
  signal: AbortSignal;
  progress(params: Omit<NotificationParams<"request.progress">, "id">): void;
  /** Asks the page for a document of a batch, to be shown. */
  wantItem(item: number): void;
  /** Sends a piece of a document in a binary frame. */
  sendChunk(handle: number, bytes: Uint8Array): Promise<void>;
}

const notInContainer = (what: string) =>
  new DsignError("invalid_params", `A container cannot be made like this (${what}).`);

type Handlers = {
  [M in MethodName]: (
    params: ParsedParams<M>,
    call: Call,
  ) => Result<M> | Promise<Result<M>>;
};

/** The parts that the methods use. */
export interface Services {
  version: string;
  identity: AgentIdentity;
  tokens: Tokens;
  signing: () => Promise<Signing>;
  origins: Origins;
  spool: Spool;
  audit: Pick<Audit, "record">;
  verification: VerificationOptions;
  /** Signatures and reports say so. */
  isTrial?: boolean;
}

/**
 * Answers one request: the method is looked up, its scope checked, its parameters validated.
 *
 * @throws {DsignError}, and errors of other rooms (see signing/errors.ts)
 */
export type Dispatch = (method: string, params: unknown, call: Call) => Promise<unknown>;

/** The agent's own pages can get no further permission. */
const OWN_SCOPES: readonly Scope[] = ["certificates", "sign"];

export function createDispatch(services: Services): Dispatch {
  const { version, identity, tokens, signing, origins, spool, audit, verification } = services;
  const scopesOf = (call: Call): readonly Scope[] =>
    call.own ? OWN_SCOPES : origins.get(call.origin)?.scopes ?? [];

  const callerOf = (
    call: Call,
    { purpose, answerWithin }: { purpose?: string; answerWithin?: number } = {},
  ): Caller => {
    const progress: Caller["progress"] = (phase, done, total) =>
      call.progress({ phase, done, total });
    if (call.own) return { asker: OWN, signal: call.signal, progress };
    const grant = origins.get(call.origin);
    return {
      asker: {
        origin: call.origin,
        trustedSince: grant?.grantedAt ?? null,
        allowedByAdministrator: grant?.grantedAt === null,
        purpose: purpose ?? null,
        // A stranger's question gives way to the others' after the usual time.
        ...grant && answerWithin && { answerWithin },
      },
      signal: call.signal,
      preferred: grant?.certificate,
      chosen: (id) => origins.remember(call.origin, id),
      progress,
    };
  };

  let contract: Result<"rpc.discover"> | undefined;

  const handlers: Handlers = {
    "agent.info": () => ({
      name: "dsign",
      version,
      protocol: PROTOCOL_VERSION,
      platform: Deno.build.os,
    }),
    "agent.prove": ({ nonce }, { origin, port }) => identity.prove(origin, port, nonce),
    "rpc.discover": () => contract ??= openrpc(version),
    "origin.status": (_, call) => ({
      origin: call.origin,
      scopes: [...scopesOf(call)],
      expiresAt: origins.get(call.origin)?.expiresAt ?? null,
    }),
    "origin.request": async ({ scopes, ...asked }, call) => {
      if (call.own) {
        throw new DsignError(
          "scope_not_granted",
          "This page already has the permissions that it needs.",
        );
      }
      if (!origins.mayBeGranted(call.origin)) {
        throw new DsignError(
          "origin_not_allowed",
          "The administrator of this computer does not allow this site to use D-Sign.",
        );
      }
      const granted = origins.get(call.origin);
      if (granted && scopes.every((scope) => granted.scopes.includes(scope))) {
        return { origin: call.origin, scopes: granted.scopes, expiresAt: granted.expiresAt };
      }
      const caller = callerOf(call, asked);
      const asking = await signing();
      return await asking.ask(caller, async () => {
        const grant = origins.proposal(call.origin, scopes);
        const { expiresAt } = grant;
        const record = (outcome: "done" | ErrorCode) =>
          audit.record({ action: "grant", origin: call.origin, scopes: grant.scopes, outcome });
        await asking.consent.grant(
          { kind: "grant", asker: caller.asker, scopes: grant.scopes, expiresAt },
          call.signal,
        ).catch(async (error) => {
          await record(toDsignError(error).code).catch(() => {});
          throw error;
        });
        await record("done");
        await origins.set(call.origin, grant);
        return { origin: call.origin, scopes: grant.scopes, expiresAt };
      });
    },
    "token.list": async () => {
      const { tokens: inserted, problems } = await tokens.list();
      return { tokens: inserted, problems };
    },
    "certificate.list": async () => {
      const { credentials, problems } = await tokens.list();
      return { certificates: credentials.map((each) => tokens.describe(each)), problems };
    },
    "certificate.choose": async (params, call) => {
      const chosen = await (await signing()).choose(callerOf(call, params));
      if (!call.own) await origins.remember(call.origin, chosen.id);
      return tokens.describe(chosen);
    },
    "document.open": ({ name, mediaType, size, hash, keep }, { documents, origin }) => {
      const fits = size <= LIMITS.keptSize;
      if (!fits && (keep || isPdfType(mediaType))) throw new DsignError("too_large");
      const room = () => spool.keep(size, origin);
      const kept = keep ? room() : fits ? room : undefined;
      return {
        document: documents.open(
          new Document(name, mediaType, size, hash, kept, keep ? [] : tokens.otherHashes(hash)),
        ),
        chunk: LIMITS.chunk,
        window: LIMITS.window,
      };
    },
    "document.read": async ({ document: handle, offset, length }, { documents, sendChunk }) => {
      const { appended } = documents.get(handle);
      if (!appended) throw new DsignError("document_not_found", "This document is not signed yet.");
      const bytes = appended.subarray(offset, offset + length);
      await sendChunk(handle, bytes);
      return { length: bytes.length };
    },
    "document.close": ({ document }, { documents }) => {
      documents.close(document);
      return {};
    },
    "sign.document": (
      { document: handle, format, pdf, container, more, ...params },
      call,
    ) =>
      call.documents.held([handle, ...more], async (documents) => {
        const [document] = documents;
        const caller = callerOf(call, params);
        if (container) {
          if (format === "pades") throw notInContainer("format: pades");
          const files = documents
            .map((each) => ({ name: each.name, mediaType: each.mediaType, source: keptOf(each) }));
          const { level, certificate } = params;
          const how = { kind: container, format, level, certificate, hash: document.asked };
          const made = await (await signing()).signContainer(containerInput(files), how, caller);
          const { container: bytes, ...result } = made;
          document.appended = bytes;
          return { format: container, appended: bytes.length, ...result };
        }
        if (more.length > 0) throw notInContainer("more, without container");
        if (format === "xades") throw notInContainer("format: xades, without container");
        if (format === "cades") {
          return { format, ...await (await signing()).signDocument(document, params, caller) };
        }
        const { appended, ...result } = await (await signing()).signPdf(
          document,
          PdfOptions.parse(pdf ?? {}),
          params,
          caller,
        );
        document.appended = appended;
        return { format, appended: appended.length, ...result };
      }),
    "sign.batch": async (params, call) => {
      const { items } = params;
      const showing = new Showing(items, (item) => call.wantItem(item));
      const caller = callerOf(call, params);
      const batch = await call.batches.asking(
        call.id,
        showing,
        async () => (await signing()).startBatch(params, caller, (item) => showing.show(item)),
      );
      return {
        batch: call.batches.open(batch),
        manifest: manifestHash(items),
        signed: batch.signed,
        ...batch.signer,
      };
    },
    "batch.show": ({ id, item, document }, { batches, documents }) => {
      const taken = documents.take(document);
      try {
        batches.showing(id).bring(item, taken);
      } catch (error) {
        taken.close();
        throw error;
      }
      return {};
    },
    "batch.sign": async ({ batch: handle, item, document: of }, call) => {
      const document = call.documents.take(of);
      try {
        const batch = call.batches.get(handle);
        const { bytes, field, resumed } = await batch.sign(item, document);
        call.signal.throwIfAborted(); // it is delivered if the page asks again
        if (batch.format === "cades") {
          return { format: "cades" as const, signature: bytes.toBase64(), resumed };
        }
        for (let at = 0; at < bytes.length; at += LIMITS.chunk) {
          await call.sendChunk(of, bytes.subarray(at, at + LIMITS.chunk));
        }
        return { format: "pades" as const, appended: bytes.length, field, resumed };
      } finally {
        document.close();
      }
    },
    "batch.close": async ({ batch, forget }, { batches }) => {
      await batches.get(batch).close(forget);
      return {};
    },
    "sign.data": async (params, call) => {
      const content = Content.of(params.content);
      if (params.format === "raw") {
        if (!scopesOf(call).includes("sign_hash")) {
          throw new DsignError(
            "scope_not_granted",
            "A bare signature can be used under any document. It needs the scope sign_hash; cades does not.",
          );
        }
        if (content.looksLikeLogin) {
          throw new DsignError(
            "invalid_params",
            "A bare signature over this many bytes could log the person in elsewhere. Use cades.",
          );
        }
      }
      const caller = callerOf(call, params);
      if (!("container" in params) || !params.container) {
        return (await signing()).signData(content, params, caller);
      }
      const { container: kind, name, format, level, certificate, hash } = params;
      if (!name) throw notInContainer("no name");
      if ("cosign" in params && params.cosign) throw notInContainer("cosign");
      const { bytes, mediaType } = content;
      const input = containerInput([{ name, mediaType, source: bytesSource(bytes) }]);
      const how = { kind, format, level, certificate, hash };
      const made = await (await signing()).signContainer(input, how, caller);
      const { container: signature, ...result } = made;
      return { signature: signature.toBase64(), content: bytes.toBase64(), ...result };
    },
    "route.create": async (params, call) =>
      (await signing()).createRoute(
        Content.of(params.content),
        params,
        callerOf(call, params),
      ),
    "route.sign": async (params, call) =>
      (await signing()).signRoute(
        Content.of(params.content),
        params,
        callerOf(call, params),
      ),
    "route.status": async ({ route }, { origin, signal }) => {
      const { routeStatus } = await import("../signing/verification.ts");
      return await routeStatus(route, verification, { origin, signal });
    },
    "signature.verify": async (
      { document, content, online, pan },
      { documents, origin, signal },
    ) => {
      const { Verification } = await import("../signing/verification.ts");
      return await new Verification(verification).document(
        documents.get(document),
        content === undefined ? undefined : documents.get(content),
        { online, pan, origin, signal },
      );
    },
    "signature.extend": async ({ document: handle, content, level }, call) => {
      const { extendDocument } = await import("../signing/extension.ts");
      const { services } = await signing();
      const document = call.documents.get(handle);
      const made = await extendDocument(
        document,
        content === undefined ? undefined : call.documents.get(content),
        level,
        services,
        { origin: call.origin, signal: call.signal },
      );
      const isPart = "appended" in made;
      document.appended = isPart ? made.appended : made.file;
      return { part: isPart ? "appended" : "whole", length: document.appended.length };
    },
    "auth.authenticate": async (params, call) => {
      if (call.own) {
        throw new DsignError("scope_not_granted", "Only a site can ask for a login.");
      }
      return (await signing()).authenticate(params, callerOf(call), `urn:dsign:${version}`);
    },
    "sign.hash": async (params, call) => (await signing()).signHash(params, callerOf(call, params)),
  };

  return async (method, params, call) => {
    if (!Object.hasOwn(METHODS, method)) throw notFound(method);
    const name = method as MethodName;
    const { scope } = METHODS[name];
    if (scope && !scopesOf(call).includes(scope)) {
      throw new DsignError(scopesOf(call).length ? "scope_not_granted" : "origin_not_allowed");
    }
    const result = await handlers[name](parse(name, params) as never, call);
    const isTrial = services.isTrial && TELLING.some((member) => member in result);
    return isTrial ? { ...result, trial: true } : result;
  };
}

/** What only signatures, reports and routes have. */
const TELLING = ["algorithm", "indication", "isComplete"];

/** Names the method that is written a little otherwise, if there is one. */
function notFound(method: string): DsignError {
  const letters = (name: string) => name.replace(/[\W_]/g, "").toLowerCase();
  const meant = method.length < 50 &&
    Object.keys(METHODS).find((name) => letters(name) === letters(method));
  return new DsignError("method_not_found", meant ? `The method is called ${meant}.` : undefined);
}

/** The fault in the parameters; of several alternatives, in the one that they match best. */
function innermost([issue]: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0 || issue.path.length > 0) {
    return issue;
  }
  return innermost(issue.errors.reduce((a, b) => b.length <= a.length ? b : a));
}

function parse(method: MethodName, params: unknown): unknown {
  const parsed = METHODS[method].params.safeParse(params);
  if (parsed.success) return parsed.data;
  const { path, message } = innermost(parsed.error.issues);
  throw new DsignError("invalid_params", `${path.join(".") || "params"}: ${message}.`);
}
