/** The portal's and the administrator's REST calls, and what the issuing authority serves to everyone. */
import type { Context } from "hono";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { formatNoteKey } from "../formats/log/note.ts";
import { readTilePath } from "../formats/log/tiles.ts";
import { isPdf } from "../formats/shown.ts";
import { bytesSource } from "../formats/source.ts";
import type { CrlReason } from "../formats/x509/extensions.ts";
import { CSC_LIMITS, NewCredential, NewPerson, OIDS, PORTAL_METHODS } from "../protocol/csc.ts";
import { CscError } from "./error.ts";
import { plainLine } from "./request.ts";
import {
  type Access,
  access,
  type App,
  LIFETIME,
  parse,
  readBody,
  readJson,
  type Service,
} from "./service.ts";

const MAX_BODY = 64 * 1024;
const MAX_OCSP = 8 * 1024;
/** Most documents stored at one time, about half an hour's worth. */
const CLIENT_QUOTA = { documents: 2000, bytes: 1024 ** 3 };
const PERSON_QUOTA = { documents: 20, bytes: 64 * 1024 ** 2 };

export function addPortalRoutes(app: App, service: Service): void {
  const { reader, store, people, authority } = service;
  const admin = async (request: Request): Promise<Access> => {
    const caller = await access(service, request);
    if (!caller.admin) throw new CscError("unauthorized_client");
    return caller;
  };

  app.get("/portal/v1/persons", async (context) => {
    await admin(context.req.raw);
    return context.json({ persons: await people.list() });
  });
  app.post("/portal/v1/persons", async (context) => {
    const { client } = await admin(context.req.raw);
    const person = parse(NewPerson, await readJson(context.req.raw, MAX_BODY));
    return context.json(await people.add(person, client), 201);
  });
  app.post("/portal/v1/persons/:id/role", async (context) => {
    const { client } = await admin(context.req.raw);
    const { params } = PORTAL_METHODS["POST /portal/v1/persons/{userID}/role"];
    const { role } = parse(params, await readJson(context.req.raw, MAX_BODY));
    await people.setRole(context.req.param("id"), role, client);
    return context.json({});
  });
  app.post("/portal/v1/persons/:id/credentials", async (context) => {
    const { client } = await admin(context.req.raw);
    const credential = parse(NewCredential, await readJson(context.req.raw, MAX_BODY));
    const added = await people.addCredential(context.req.param("id"), credential, client);
    return context.json(added, 201);
  });
  app.post("/portal/v1/persons/:id/lock", async (context) => {
    const { client } = await admin(context.req.raw);
    const { params } = PORTAL_METHODS["POST /portal/v1/persons/{userID}/lock"];
    const { reason } = parse(params, await readJson(context.req.raw, MAX_BODY));
    await people.lock(context.req.param("id"), reason, client);
    return context.json({});
  });
  for (const path of ["unlock", "reset-pin"] as const) {
    app.post(`/portal/v1/persons/:id/${path}`, async (context) => {
      const { client } = await admin(context.req.raw);
      const { params } = PORTAL_METHODS[`POST /portal/v1/persons/{userID}/${path}`];
      const { proof } = parse(params, await readJson(context.req.raw, MAX_BODY));
      const enrolment = await people.unlock(context.req.param("id"), proof, client);
      return context.json({ enrolment });
    });
  }
  app.get("/portal/v1/persons/:id/certificates", async (context) => {
    await admin(context.req.raw);
    const rows = await store.read((tx) => tx.certificatesOf(context.req.param("id")));
    return context.json({
      certificates: rows.map(({ serial, person, der, notAfter, revokedAt, reason }) => ({
        serialNumber: serial,
        userID: person,
        certificate: der.toBase64(),
        notAfter: new Date(notAfter).toISOString(),
        ...revokedAt !== null && { revokedAt: new Date(revokedAt).toISOString(), reason },
      })),
    });
  });
  app.post("/portal/v1/certificates/:serial/revoke", async (context) => {
    const { client } = await admin(context.req.raw);
    const { params } = PORTAL_METHODS["POST /portal/v1/certificates/{serialNumber}/revoke"];
    const { reason } = parse(params, await readJson(context.req.raw, MAX_BODY));
    const serial = context.req.param("serial").toLowerCase();
    return context.json({ revoked: await authority.revoke(serial, reason as CrlReason, client) });
  });
  app.get("/portal/v1/audit", async (context) => {
    const { client } = await admin(context.req.raw);
    const from = Math.max(1, Math.floor(Number(context.req.query("from") ?? 1)) || 1);
    await store.run((tx) => {
      tx.audit({ event: "audit.exported", by: client, from });
    });
    const lines = store.audit(from);
    const encoder = new TextEncoder();
    // read before anything is answered: while the database is out that is no 200
    let next = await lines.next();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (next.done) return controller.close();
        controller.enqueue(encoder.encode(next.value + "\n"));
        next = await lines.next();
      },
    });
    return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
  });
  app.get("/portal/v1/audit/check", async (context) => {
    await admin(context.req.raw);
    return context.json(await store.verifyAudit());
  });
  app.get("/portal/v1/receipts/:entry{[0-9a-f]{64}}", async (context) => {
    const caller = await access(service, context.req.raw);
    const found = await store.log.find(context.req.param("entry"));
    const isTheirs = found && (caller.admin || found.client === caller.client);
    if (!isTheirs) throw new CscError("not_found");
    return context.text(found.receipt);
  });

  // The log's own: nothing of it tells what its lines hold.
  app.get("/log/checkpoint", async (context) => {
    const note = await store.log.checkpoint();
    if (note === null) throw new CscError("not_found");
    return context.text(note);
  });
  app.get("/log/key", (context) => context.text(`${formatNoteKey(store.log.signer.key)}\n`));
  app.get("/log/tile/:path{.+}", async (context) => {
    const tile = readTilePath(`tile/${context.req.param("path")}`);
    const hashes = tile && await store.log.tile(tile.level, tile.number);
    const size = (tile?.width ?? 0) * 32;
    if (!hashes || hashes.length < size) throw new CscError("not_found");
    return new Response(new Uint8Array(hashes.subarray(0, size)), {
      headers: { "content-type": "application/octet-stream" },
    });
  });
  app.post("/portal/v1/documents", async (context) => {
    const { client, person } = await access(service, context.req.raw);
    const bytes = await readBody(context.req.raw, CSC_LIMITS.document);
    if (bytes.length === 0) throw new CscError("body_malformed");
    const given = plainLine(context.req.query("name") ?? "").slice(0, 200);
    const name = given.toWellFormed() || "document"; // the cut may have halved a character
    const whole = new Uint8Array(digest("SHA-256", bytes)).toBase64();
    const asking = { documents: [bytesSource(bytes)], origin: person ?? client };
    const byteRange = isPdf(bytes)
      ? (await reader.ask("preparedDigest", null, asking).catch(refuseMalformed))?.toBase64()
      : undefined;
    const kept = await store.run((tx) =>
      tx.addDocument(
        client,
        [whole, ...byteRange ? [byteRange] : []],
        { name, bytes },
        { lifetime: LIFETIME.document, quota: person === undefined ? CLIENT_QUOTA : PERSON_QUOTA },
      )
    );
    if (!kept) throw new CscError("documents_too_many");
    return context.json({
      hashes: { hashAlgorithmOID: OIDS.sha256, document: whole, ...byteRange && { byteRange } },
    }, 201);
  });

  // The authority's own, for everyone who verifies.
  const binary = (bytes: Uint8Array, type: string) =>
    new Response(new Uint8Array(bytes), { headers: { "content-type": type } });
  for (const ca of ["/ca", "/ca/:key{[0-9a-f]{8}}"] as const) {
    const asked = (context: Context) => authority.withKey(context.req.param("key"));
    app.get(
      `${ca}/certificate`,
      (context) => binary(asked(context).certificate.der, "application/pkix-cert"),
    );
    app.get(
      `${ca}/crl`,
      async (context) => binary(await asked(context).crl(), "application/pkix-crl"),
    );
    app.post(`${ca}/ocsp`, async (context) => {
      const request = await readBody(context.req.raw, MAX_OCSP);
      return binary(await asked(context).ocsp(request), "application/ocsp-response");
    });
    app.get(`${ca}/ocsp/:request{.+}`, async (context) => {
      let request;
      try {
        request = Uint8Array.fromBase64(decodeURIComponent(context.req.param("request")!));
      } catch {
        request = new Uint8Array(); // gets malformedRequest
      }
      return binary(await asked(context).ocsp(request), "application/ocsp-response");
    });
  }
}

/** @throws {CscError} `document_malformed`, with the reason for the log */
function refuseMalformed(error: unknown): never {
  if (error instanceof FormatError) throw new CscError("document_malformed", error.message);
  throw error;
}
