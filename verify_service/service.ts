/** The service's answers over HTTP: for portals' servers on this computer or behind a proxy, never for browsers. */
import { getLogger } from "@logtape/logtape";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type * as z from "zod";
import type { Source } from "../formats/source.ts";
import { OnlineError } from "../online/error.ts";
import {
  ExtendFields,
  type VerifyAnswer,
  type VerifyErrorCode,
  VerifyFields,
  verifyOpenapi,
} from "../protocol/verify_service.ts";
import { toDsignError } from "../signing/errors.ts";
import { ServiceError } from "./error.ts";
import { type ExtenderOptions, extendUpload } from "./extender.ts";
import { Metrics } from "./metrics.ts";
import { Places } from "./places.ts";
import type { TrustSets } from "./trust_sets.ts";
import { Parts, type Upload } from "./upload.ts";
import { type VerifierOptions, verifyUpload } from "./verifier.ts";

const log = getLogger(["dsign", "verify-service"]);

const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
const BYTES = "application/octet-stream";
const isPost = (pathname: string) => /^\/v1\/(verify|extend)$/.test(pathname);
/** Seconds after which one that was refused may come again. */
const RETRY_AFTER = "1";

export interface ServiceOptions extends VerifierOptions, ExtenderOptions {
  reader: ExtenderOptions["reader"];
  version: string;
  sets: TrustSets;
  /** Folder for uploads. */
  spool: string;
  /** Requests at a time; bytes of one and of all; milliseconds that one may take to arrive. */
  requests: number;
  uploadBytes: number;
  diskBytes: number;
  uploadTime: number;
  processes: () => number;
}

/** A request whose body is on its way. */
export interface Incoming {
  method: string;
  /** As in the request line. */
  target: string;
  headers: IncomingHttpHeaders;
  body: Readable;
  /** Lets a caller send the body who waits to be told so (`Expect: 100-continue`). */
  proceed(): void;
  /** Fires when the caller hangs up. */
  signal: AbortSignal;
}

export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string | Uint8Array;
}

/** The answer to one request. */
export function createHandler(options: ServiceOptions): (request: Incoming) => Promise<Reply> {
  const places = new Places({ requests: options.requests, bytes: options.diskBytes });
  const { fetched, sets, version } = options;
  const gauge = (help: string, value: () => number) => ({ help, value });
  const metrics = new Metrics({
    requests_in_flight: gauge("Verifications that are under way.", () => places.requests),
    upload_bytes: gauge("Disk that uploads may take now.", () => places.bytes),
    reader_processes: gauge("Reader processes.", options.processes),
    trust_sets_stale: gauge(
      "Trust sets whose folder cannot be used as it is.",
      () => Object.values(sets.problems).filter((problem) => problem !== null).length,
    ),
    resident_memory_bytes: gauge("Memory of this process.", () => Deno.memoryUsage().rss),
    ...fetched && {
      fetched_answers: gauge("Answers of authorities that are kept.", () => fetched.entries),
      fetched_bytes: gauge("Their bytes.", () => fetched.bytes),
      fetches: gauge("Answers fetched so far.", () => fetched.counts.fetches),
      fetch_failures: gauge("Of these, failed or not signed.", () => fetched.counts.failures),
      fetch_hits: gauge("Answers that were there already.", () => fetched.counts.hits),
    },
  });

  /** Receives a request's files and fields, and does something with them. */
  async function withUpload<F extends { trust: string }, T>(
    request: Incoming,
    fields: z.ZodType<F>,
    work: (
      file: Upload,
      documents: Source[],
      anchors: Uint8Array[],
      fields: F,
      asking: { origin: string; signal: AbortSignal },
    ) => Promise<T>,
  ): Promise<T> {
    if (request.method !== "POST") throw new ServiceError("method_wrong", "Send a POST.");
    const size = sizeOf(request, options.uploadBytes);
    const { body, headers, signal } = request;
    const caller = headers["x-real-ip"]?.toString();
    using place = places.take(caller, size);
    if (!place) throw new ServiceError("busy", "All readers are busy. Come again in a moment.");
    using parts = new Parts(options.spool);
    request.proceed();
    await parts.receive(body, `${headers["content-type"]}`, options.uploadTime, signal);
    const [file, content] = ["file", "content"].map((name) => parts.files.get(name));
    const { success, data, error } = fields.safeParse(Object.fromEntries(parts.fields));
    if (!success) {
      const [{ path, message }] = error.issues;
      throw new ServiceError("request_wrong", `${path.join(".") || "The form"}: ${message}.`);
    }
    if (!file) throw new ServiceError("request_wrong", "There is no file in the request.");
    const anchors = sets.get(data.trust);
    if (!anchors) {
      throw new ServiceError("trust_unknown", `There is no trust set ${data.trust}.`);
    }
    const documents = content ? [file.source, content.source] : [file.source];
    return await work(file, documents, anchors, data, { origin: caller ?? "", signal });
  }

  const verify = (request: Incoming) =>
    withUpload(request, VerifyFields, async (file, documents, anchors, fields, asking) => {
      const { ok, ...report } = await verifyUpload(options, documents, anchors, fields, asking);
      return { ok, file: file.name, sha256: file.sha256, ...report } satisfies VerifyAnswer;
    });

  const extend = (request: Incoming) =>
    withUpload(
      request,
      ExtendFields,
      (_, documents, anchors, fields, asking) =>
        extendUpload(options, documents, anchors, fields, asking),
    );

  return async (request) => {
    const [pathname] = request.target.split("?");
    const json = (value: unknown, status = 200, more: Record<string, string> = {}): Reply => ({
      status,
      headers: { ...HEADERS, "content-type": "application/json", ...more },
      body: JSON.stringify(value),
    });
    const text = (body: string, type = "text/plain; charset=utf-8"): Reply => ({
      status: 200,
      headers: { ...HEADERS, "content-type": type },
      body,
    });
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    try {
      // A page in somebody's browser must not use what only servers may ask.
      if ("origin" in request.headers || "sec-fetch-site" in request.headers) {
        throw new ServiceError("browser_refused", "This service answers servers, not browsers.");
      }
      if (pathname === "/v1/verify") {
        const answer = await verify(request);
        metrics.answered(200, answer.indication, seconds());
        return json(answer);
      }
      if (pathname === "/v1/extend") {
        const result = await extend(request);
        const kind = "file" in result ? "file" : "appended";
        return {
          status: 200,
          headers: { ...HEADERS, "dsign-result": kind, "content-type": BYTES },
          body: "file" in result ? result.file : result.appended,
        };
      }
      if (!["GET", "HEAD"].includes(request.method)) {
        throw new ServiceError("method_wrong", "Send a GET.");
      }
      switch (pathname) {
        case "/v1/openapi.json":
          return json(verifyOpenapi(version));
        case "/healthz":
          return text("ok\n");
        case "/readyz": {
          const isFree = places.requests < options.requests;
          const checks = { readers: isFree ? "ok" : "All are busy.", trust: sets.problems };
          // a set that is as it was can still be used
          return json({ ready: isFree, checks }, isFree ? 200 : 503);
        }
        case "/metrics": {
          const figures = await metrics.text();
          return text(figures.text, figures.type);
        }
      }
      throw new ServiceError("not_found", "There is nothing at this address.");
    } catch (error) {
      const { code, status, message } = request.signal.aborted ? GONE : failureOf(error);
      if (pathname === "/v1/verify") metrics.answered(status, "", seconds());
      return json(
        { error: code, message },
        status,
        {
          ...code === "busy" && { "retry-after": RETRY_AFTER },
          ...code === "method_wrong" && { allow: isPost(pathname) ? "POST" : "GET, HEAD" },
        },
      );
    }
  };
}

/** Nobody reads this; the status is nginx's. */
const GONE = { code: "request_wrong", status: 499, message: "The caller hung up." };

/** The bytes that a body may take. @throws {ServiceError} */
function sizeOf({ headers }: Incoming, most: number): number {
  if (!/^multipart\/form-data\s*;/i.test(headers["content-type"] ?? "")) {
    throw new ServiceError("type_wrong", "Send multipart/form-data with a file.");
  }
  const length = headers["content-length"] ?? "";
  if (!/^\d{1,15}$/.test(length)) {
    throw new ServiceError("length_missing", "Send the length of the body, Content-Length.");
  }
  if (Number(length) > most) {
    throw new ServiceError("too_large", `The request is larger than ${most} bytes.`);
  }
  return Number(length);
}

function failureOf(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof OnlineError) {
    return new ServiceError("not_extended", toDsignError(error).message);
  }
  const { code, message } = toDsignError(error);
  const known: Partial<Record<string, VerifyErrorCode>> = {
    document_malformed: "document_malformed",
    document_encrypted: "document_encrypted",
    mechanism_unsupported: "document_malformed",
    too_large: "document_malformed",
    signature_mismatch: "not_extended",
    document_locked: "not_extended",
  };
  if (known[code]) return new ServiceError(known[code], message);
  log.error("{error}", { error: `${error}` });
  return new ServiceError("internal_error", "The file could not be verified. Send it again.");
}
