/**
 * Signing, from the request to the released signature: for each kind of signature, what the person is shown, and what
 * the key makes; key_access.ts has the way to the key. The command line and the WebSocket's methods both come through
 * here.
 */
import { getLogger } from "@logtape/logtape";
import { refuseAmbiguous } from "../formats/pades/versions.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { digest, HASHES } from "../formats/digest.ts";
import { readRoute } from "../formats/json/route.ts";
import {
  mayAuthenticate,
  webEidHash,
  webEidMessage,
  webEidToken,
} from "../formats/json/web_eid.ts";
import type { HashName } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import { DsignError } from "../protocol/errors.ts";
import { type ParsedParams, PdfOptions, type Result } from "../protocol/methods.ts";
import { Batch, batchItem, type BatchParams, journalName, manifestHash } from "./batch.ts";
import type { Consent, ShowPdf } from "./consent/port.ts";
import { Content } from "./content.ts";
import type { DataHow, DataSigner } from "./data.ts";
import type { Document } from "./documents.ts";
import { throwIfCancelled } from "./errors.ts";
import type { Journals } from "./journal.ts";
import { KeyAccess, type KeyServices, sign, signedWith } from "./key_access.ts";
import type { Lease } from "./logins.ts";
import { additionsOf, type ReadFor, showOnly } from "./shown_pdf.ts";
import { checkPdf, type PadesServices, type PadesSigner, pdfOf, signPdf } from "./pades.ts";
import type { DocumentReader } from "./reading.ts";
import type { Credential, Tokens } from "./tokens.ts";
import type { Caller, Wanted } from "./unlock.ts";

export type { Caller } from "./unlock.ts";

const log = getLogger(["dsign", "agent"]);

/** How many digests of one request are at the token at a time. */
const PIPELINE = 32;

/** Everything that ends in a signature, or asks the person something else. */
export class Signing {
  readonly #keys: KeyAccess;

  /** @param keepLogin milliseconds for which a token stays unlocked after a PIN; 0: only for the request */
  constructor(
    readonly tokens: Tokens,
    readonly consent: Consent,
    keepLogin: number,
    readonly services: PadesServices & KeyServices & { journals: Journals; reader: DocumentReader },
  ) {
    this.#keys = new KeyAccess(tokens, consent, keepLogin, services);
  }

  /** Ends the logins, once what has been given up is over and written down. */
  close(): Promise<void> {
    return this.#keys.close();
  }

  /** Asks something else than for a signature, in turn with the signatures. */
  ask<T>(caller: Caller, question: () => Promise<T>): Promise<T> {
    return this.#keys.ask(caller, question);
  }

  /** Lets the person choose a usable certificate. */
  choose(caller: Caller): Promise<Credential> {
    return this.#keys.choose(caller);
  }

  /** Signs data that came with the request. */
  async signData(content: Content, how: DataHow, caller: Caller): Promise<Result<"sign.data">> {
    const { checkData, nameOfFormat, signData } = await loadData();
    const signedBy = checkData(how, content);
    const item = content.item(how.name ?? "", how.hash);
    // A bare signature over a text may be one under another document, whose signed attributes, SignedInfo or JWS
    // signing input the text is. The person at the command line has named the file.
    const blind = caller.asker.origin !== null && how.format === "raw";
    return await this.#keys.use(
      {
        ...how,
        format: nameOfFormat(how),
        items: [signedBy.length > 0 ? { ...item, signedBy } : item],
        blind,
        ...item.pdf && { show: showOnly(bytesSource(content.bytes), this.#readFor(caller)) },
      },
      caller,
      async (lease) => {
        const signature = how.format === "raw"
          ? await sign(lease, { digest: content.digest(how.hash) }, caller.signal)
          : await signData(how, content, this.#dataSigner(lease, how.hash, caller.signal));
        return {
          signature: signature.toBase64(),
          content: content.bytes.toBase64(),
          ...signedWith(lease.signer),
        };
      },
    );
  }

  /** Sets a signing route up: the person signs the route, with the content's digest in it. */
  async createRoute(
    content: Content,
    params: Omit<ParsedParams<"route.create">, "content">,
    caller: Caller,
  ): Promise<Result<"route.create">> {
    const { routeDocument, signRoute } = await loadData();
    const route = Content.json(routeDocument(params, content));
    const item = route.item(params.name, ROUTE_HASH);
    return await this.#keys.use(
      { ...params, hash: ROUTE_HASH, format: "signing route", items: [item], blind: false },
      caller,
      async (lease) => ({
        route: await signRoute(route, this.#dataSigner(lease, ROUTE_HASH, caller.signal)),
        ...signedWith(lease.signer),
      }),
    );
  }

  /** Signs on a route; only certificates whose turn it is can be chosen. */
  async signRoute(
    content: Content,
    params: Omit<ParsedParams<"route.sign">, "content">,
    caller: Caller,
  ): Promise<Result<"route.sign">> {
    const { routeStatus, signStatement, turnProblem } = await loadData();
    const { route: { content: { name, sha256 } }, steps, next } = readRoute(params.route);
    const item = content.item(name, ROUTE_HASH);
    if (sha256 !== item.hash.hex) {
      throw new DsignError("signature_mismatch", "The signing route belongs to another content.");
    }
    return await this.#keys.use(
      {
        ...params,
        ...item.pdf && { show: showOnly(bytesSource(content.bytes), this.#readFor(caller)) },
        hash: ROUTE_HASH,
        format: "signing route statement",
        items: [{ ...item, route: { steps, next } }],
        blind: false,
        accepts: (certificate) => turnProblem(params.route, certificate),
      },
      caller,
      async (lease) => {
        const by = this.#dataSigner(lease, ROUTE_HASH, caller.signal);
        const { route, role } = await signStatement(params.route, content, by);
        return { route, role, status: routeStatus(route), ...signedWith(lease.signer) };
      },
    );
  }

  #readFor({ asker: { origin } }: Caller, password?: string): ReadFor {
    return { reader: this.services.reader, origin: origin ?? undefined, password };
  }

  #dataSigner(lease: Lease, hash: HashName, signal: AbortSignal): DataSigner {
    return {
      signer: lease.signer,
      hash,
      sign: (message) => sign(lease, { message }, signal),
      now: this.tokens.now,
      online: this.services.online,
      signal,
    };
  }

  /** Detached CAdES over a document of any kind. */
  async signDocument(
    document: Document,
    params: Pick<ParsedParams<"sign.document">, "certificate">,
    caller: Caller,
  ) {
    const digest = document.digest();
    return await document.held(() =>
      this.#keys.use(
        {
          ...params,
          hash: document.algorithm,
          format: CADES,
          items: [document.item()],
          blind: false,
          show: showOnly(document.kept, this.#readFor(caller)),
        },
        caller,
        async (lease) => ({
          signature: (await this.#signCades(lease, digest, caller.signal)).toBase64(),
          digest: digest.toBase64(),
          ...signedWith(lease.signer),
        }),
      )
    );
  }

  /**
   * PAdES: a signature within a PDF.
   *
   * @param document is being kept
   */
  async signPdf(
    document: Document,
    options: PdfOptions,
    params: Pick<ParsedParams<"sign.document">, "certificate">,
    caller: Caller,
  ) {
    return await document.held(async () => {
      const pdf = pdfOf(document);
      const placed = await this.services.placement.place(pdf.source, options, caller.signal);
      await checkPdf(pdf, placed, this.services.appearances);
      return await this.#keys.use(
        {
          ...params,
          hash: document.algorithm,
          format: nameOfPades(options),
          items: [{ ...document.item(), pdf: { adds: additionsOf(placed) } }],
          blind: false,
          show: showOnly(document.kept, this.#readFor(caller, options.password)),
        },
        caller,
        async (lease) => {
          caller.progress?.("signing");
          const signed = await signPdf(pdf, placed, this.#padesSigner(lease, caller.signal));
          return { ...signed, ...signedWith(lease.signer) };
        },
      );
    });
  }

  /**
   * Asks for consent to a whole list, and opens the key for the documents that will come.
   *
   * @throws {DsignError} `busy` where the same batch is being signed already
   */
  async startBatch(params: BatchParams, caller: Caller, show: ShowPdf): Promise<Batch> {
    const { items, format, certificate } = params;
    const { journals } = this.services;
    const options = PdfOptions.parse(params.pdf ?? {});
    const { origin } = caller.asker;
    await journals.tidy(this.tokens.now());
    const { credentials } = await this.tokens.list();
    const counts = new Map(
      await Promise.all(credentials.map(async ({ id }) => {
        const signed = await journals.signed(journalName(origin, params, id));
        return [id, signed.length] as const;
      })),
    );
    const wanted: Wanted = {
      certificate,
      hash: "SHA-256",
      format: format === "cades" ? CADES : nameOfPades(options),
      items: items.map((item) => batchItem(item, format, options)),
      blind: false,
      show,
      batch: {
        manifest: manifestHash(items),
        signed: (id) => counts.get(id) ?? 0,
        signedNow: () => batch?.signed.length,
      },
    };
    let batch: Batch | undefined;
    const started = Promise.withResolvers<Batch>();
    const session = this.#keys.use(wanted, caller, async (lease) => {
      const journal = await journals.open(journalName(origin, params, lease.credential.id));
      const by = this.#padesSigner(lease, caller.signal);
      const make = (document: Document) =>
        document.held(async () => {
          if (format === "pades") {
            const pdf = pdfOf(document);
            refuseAmbiguous(pdf.source, options.password);
            const placed = await this.services.placement.place(pdf.source, options, caller.signal);
            const { appended, field } = await signPdf(pdf, placed, by);
            return { bytes: appended, field };
          }
          const digest = document.digest();
          return { bytes: await this.#signCades(lease, digest, caller.signal), field: "" };
        });
      batch = new Batch(items, format, signedWith(lease.signer), journal, make);
      started.resolve(batch);
      await batch.over;
    });
    session.catch((error) => {
      log.warn("A batch ended with {error}.", { error });
      started.reject(error);
    });
    return await started.promise;
  }

  #padesSigner(lease: Lease, signal: AbortSignal): PadesSigner {
    return {
      signer: lease.signer,
      sign(message) {
        throwIfCancelled(signal);
        return lease.signer.sign({ message }, signal);
      },
      now: this.tokens.now,
      ...this.services,
      signal,
    };
  }

  async signHash(
    params: ParsedParams<"sign.hash">,
    caller: Caller,
  ): Promise<Result<"sign.hash">> {
    const digests = params.digests.map((digest) => Uint8Array.fromBase64(digest));
    const length = HASHES[params.hash].length;
    if (digests.some((digest) => digest.length !== length)) {
      throw new DsignError("invalid_params", `digests: one is not ${length} bytes long.`);
    }
    const items = digests.map((digest) => ({
      name: "",
      mediaType: "",
      size: null,
      hash: { algorithm: params.hash, hex: digest.toHex() },
      preview: null,
    }));
    const wanted = { ...params, format: "digest", items, blind: true };
    return await this.#keys.use(wanted, caller, async (lease) => {
      const signatures = new Array<string>(digests.length);
      let done = 0;
      await inPipeline(digests.length, async (i) => {
        signatures[i] = (await sign(lease, { digest: digests[i] }, caller.signal)).toBase64();
        if (++done % PIPELINE === 0) caller.progress?.("signing", done, digests.length);
      });
      return { signatures, ...signedWith(lease.signer) };
    });
  }

  /**
   * Signs in to the asker's site: a Web eID token over the site's origin, as the browser attests it, and the nonce.
   *
   * @param appVersion URI of this program
   */
  async authenticate(
    { nonce, certificate }: ParsedParams<"auth.authenticate">,
    caller: Caller,
    appVersion: string,
  ): Promise<Result<"auth.authenticate">> {
    const { origin } = caller.asker;
    if (origin === null) throw new Error("Only a site can be signed in to.");
    const shown = webEidMessage(origin, nonce, "SHA-256");
    const item = {
      name: "",
      mediaType: "",
      size: null,
      hash: { algorithm: "SHA-256", hex: digest("SHA-256", shown).toHex() },
      preview: null,
    };
    const now = this.tokens.now();
    const wanted: Wanted = {
      certificate,
      hash: webEidHash,
      format: "web-eid:1.0",
      items: [item],
      blind: false,
      login: true,
      accepts: (der) =>
        mayAuthenticate(der, now) ? null : new DsignError(
          "certificate_not_for_signing",
          "The certificate is not meant for signing in. Choose another.",
        ),
    };
    return await this.#keys.use(wanted, caller, async (lease) => {
      const { certificate, algorithm } = lease.signer;
      const message = webEidMessage(origin, nonce, algorithm.hash);
      const signature = await sign(lease, { message }, caller.signal);
      return webEidToken(certificate, algorithm, signature, appVersion);
    });
  }

  async #signCades(lease: Lease, digest: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { checkRelease } = await loadData();
    const { signer } = lease;
    const now = this.tokens.now();
    const prepared = prepareSignedData({ digest }, signer, { signingTime: now });
    const cms = prepared.complete(await sign(lease, { message: prepared.toBeSigned }, signal));
    const digestOf = (hash: HashName) => hash === signer.algorithm.hash ? digest : undefined;
    checkRelease(cms, { digest: digestOf }, signer.certificate);
    return cms;
  }
}

/** With the verifier and all it reads; loaded for the first signature, so that an agent that waits stays small. */
const loadData = () => import("./data.ts");

/** Routes are bound by SHA-256. */
const ROUTE_HASH = "SHA-256";

/** Runs `work` for 0 … count−1, some at a time; rejects with the first failure after all have come to rest. */
async function inPipeline(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (next < count && !failed) {
      try {
        await work(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(count, PIPELINE) }, worker);
  const failure = (await Promise.allSettled(workers)).find(({ status }) => status === "rejected");
  if (failure) throw (failure as PromiseRejectedResult).reason;
}

const CADES = "CAdES B-B";

/** For the audit log. */
const nameOfPades = ({ subFilter, level }: PdfOptions): string =>
  subFilter === "adbe.pkcs7.detached" ? subFilter : `PAdES ${level}`;
