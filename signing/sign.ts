/**
 * Signing, from the request to the released signature: for each kind of signature, what the person is shown, and what
 * the key makes; key_access.ts has the way to the key. The command line and the WebSocket's methods both come through
 * here.
 */
import { getLogger } from "@logtape/logtape";
import { prepareSignedData } from "../formats/cms/write.ts";
import { digest, HASHES } from "../formats/digest.ts";
import { isTurnOf, whoIsNext } from "../formats/json/turn.ts";
import {
  mayAuthenticate,
  webEidHash,
  webEidMessage,
  webEidToken,
} from "../formats/json/web_eid.ts";
import type { HashName } from "../formats/signer.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { bytesSource } from "../formats/source.ts";
import type { PinRequest, PlacedBox } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Level } from "../online/pades.ts";
import { performFor } from "../online/services.ts";
import { askInSteps, type Stepped } from "../reader/steps.ts";
import { certificateOf, isPostQuantum } from "./certificates.ts";
import { type ParsedParams, PdfOptions, type Result } from "../protocol/methods.ts";
import {
  Batch,
  batchItem,
  type BatchParams,
  type Bring,
  journalName,
  manifestHash,
} from "./batch.ts";
import type { Consent } from "./consent/port.ts";
import { Content } from "./content.ts";
import type { ContainerHow, ContainerInput } from "./container.ts";
import type { DataHow } from "./data.ts";
import type { Document } from "./documents.ts";
import type { Journals } from "./journal.ts";
import { KeyAccess, type KeyServices, signedWith } from "./key_access.ts";
import { isNew, type NewHow, type Prepared, prepareNew } from "./new_signature.ts";
import { sign } from "./signature.ts";
import type { Lease } from "./logins.ts";
import { additionsOf, type ReadFor, shownPdf, showOnly } from "./shown_pdf.ts";
import { type PadesServices, sourceOf } from "./pades.ts";
import { acceptsFor, type Also, noDigests, noLogin, notBoth } from "./post_quantum.ts";
import { BatchSigning, Revisions } from "./revision.ts";
import type { Trust } from "./proven.ts";
import type { DataBy, DataStep, questions } from "./questions.ts";
import type { Asking, DocumentReader } from "./reading.ts";
import { isJwsOver, isOver, isOverFiles, isStatement, type SignedBy } from "./to_be_signed.ts";
import type { Place } from "./token_pin.ts";
import type { Credential, Tokens } from "./tokens.ts";
import type { Caller, Wanted } from "./unlock.ts";

export type { Caller } from "./unlock.ts";

const log = getLogger(["dsign", "agent"]);

/** How many digests of one request are at the token at a time. */
const PIPELINE = 32;

/** Further parts of signing. */
interface SigningServices {
  journals: Journals;
  reader: DocumentReader;
  /** The root certificates that are trusted; asked for each time, as their folders may be filled meanwhile. */
  anchors: () => Promise<readonly Certificate[]>;
}

/** Everything that ends in a signature, or asks the person something else. */
export class Signing {
  readonly #keys: KeyAccess;

  /** @param keepLogin milliseconds for which a token stays unlocked after a PIN; 0: only for the request */
  constructor(
    readonly tokens: Tokens,
    readonly consent: Consent,
    keepLogin: number,
    readonly services: PadesServices & KeyServices & SigningServices,
  ) {
    this.#keys = new KeyAccess(tokens, consent, keepLogin, services);
  }

  /** Ends the logins, once what has been given up is over and written down. */
  async close(): Promise<void> {
    await this.#keys.close();
    await this.services.placement.close();
  }

  /** Asks something else than for a signature, in turn with the signatures. */
  ask<T>(caller: Caller, question: () => Promise<T>): Promise<T> {
    return this.#keys.ask(caller, question);
  }

  /** Asks for a token's PIN for something else than a signature. */
  tokenPin(place: Place, purpose: PinRequest["purpose"], caller: Caller): Promise<void> {
    return this.#keys.tokenPin(place, purpose, caller);
  }

  /** Lets the person choose a usable certificate. */
  choose(caller: Caller): Promise<Credential> {
    return this.#keys.choose(caller);
  }

  /** Signs data that came with the request. */
  async signData(content: Content, how: DataHow, caller: Caller): Promise<Result<"sign.data">> {
    const { reader } = this.services;
    const data = { how, content: plain(content) };
    const signedBy = how.format === "raw" || isNew(how)
      ? []
      : await reader.ask("checkData", { ...data, trust: await this.#trust() }, askingFor(caller));
    const item = content.item(how.name ?? "", how.hash ?? "SHA-256");
    // A bare signature over a text may be one under another document, whose signed attributes, SignedInfo or JWS
    // signing input the text is. The person at the command line has named the file.
    const blind = caller.asker.origin !== null && how.format === "raw";
    return await this.#keys.use(
      {
        ...how,
        format: nameOfFormat(how),
        ...how.format !== "raw" && this.#network(how.level),
        items: [signedBy.length > 0 ? { ...item, signedBy } : item],
        blind,
        accepts: acceptsFor(how, content.bytes.length),
        ...item.pdf && { show: showOnly(bytesSource(content.bytes), this.#readFor(caller)) },
      },
      caller,
      async (lease) => {
        const { hash } = lease.signer.algorithm;
        const signature = how.format === "raw"
          ? await sign(
            lease,
            isPostQuantum(lease.signer.certificate)
              ? { message: content.bytes }
              : { digest: content.digest(hash) },
            caller.signal,
          )
          : isNew(how)
          ? await this.#signNew(how, content, lease, caller)
          : await this.#make(
            (by, asking) => reader.ask("signData", { ...data, how, ...by }, asking),
            {
              lease,
              caller,
              isOurs: (bytes, by) => isOver(bytes, how, content, by),
            },
          );
        return {
          signature: signature.toBase64(),
          content: content.bytes.toBase64(),
          ...signedWith(lease.signer),
        };
      },
    );
  }

  /**
   * Signs all files of a container (ASiC), new or with signatures of others.
   *
   * @returns the container
   */
  async signContainer(
    input: ContainerInput,
    { kind, format, level, certificate, hash }: ContainerHow & {
      certificate?: string;
      hash?: HashName;
    },
    caller: Caller,
  ): Promise<{ container: Uint8Array; certificate: string; algorithm: string }> {
    const { reader } = this.services;
    const how = { kind, format, level };
    const mediaTypes = new Map(
      "files" in input ? input.files.map(({ name, mediaType }) => [name, mediaType]) : [],
    );
    const asking = askingFor(caller);
    const { files, signature } = await reader.ask("checkContainer", {
      how,
      input,
      trust: await this.#trust(),
      now: this.tokens.now().toISOString(),
    }, asking);
    const contents = files.map(({ name, bytes, signedBy }) => {
      const mediaType = mediaTypes.get(name) ?? "application/octet-stream";
      return { name, content: new Content(bytes, mediaType), signedBy };
    });
    const items = contents.map(({ name, content, signedBy }) => {
      const item = content.item(name, hash ?? "SHA-256");
      return signedBy.length > 0 ? { ...item, signedBy } : item;
    });
    const by = this.#readFor(caller);
    return await this.#keys.use(
      {
        certificate,
        hash,
        format: `${how.kind === "asic-s" ? "ASiC-S" : "ASiC-E"} ${how.format} ${how.level}`,
        items,
        ...this.#network(how.level),
        blind: false,
        accepts: acceptsFor(how, 0),
        show: (item) => Promise.resolve(shownPdf(bytesSource(contents[item].content.bytes), by)),
      },
      caller,
      async (lease) => {
        const container = await this.#make(
          (by, asking) =>
            reader.ask("signContainer", { how, input, mediaTypes: [...mediaTypes], ...by }, asking),
          {
            lease,
            caller,
            isOurs: (bytes, by) => isOverFiles(bytes, how, contents, signature, by),
          },
        );
        return { container, ...signedWith(lease.signer) };
      },
    );
  }

  /** Sets a signing route up: the person signs the route, with the content's digest in it. */
  async createRoute(
    content: Content,
    params: Omit<ParsedParams<"route.create">, "content">,
    caller: Caller,
  ): Promise<Result<"route.create">> {
    const { reader } = this.services;
    const { name, steps } = params;
    const route = Content.json(
      await reader.ask(
        "routeDocument",
        { name, steps, content: plain(content) },
        askingFor(caller),
      ),
    );
    const item = route.item(params.name, ROUTE_HASH);
    return await this.#keys.use(
      { ...params, hash: ROUTE_HASH, format: "signing route", items: [item], blind: false },
      caller,
      async (lease) => ({
        route: await this.#make(
          (by, asking) => reader.ask("signRoute", { content: plain(route), ...by }, asking),
          {
            lease,
            caller,
            isOurs: (bytes, by) => isJwsOver(bytes, route.bytes, by, "json"),
          },
        ),
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
    const { reader } = this.services;
    const file = params.route;
    const asking = askingFor(caller);
    const { routeStatus } = await import("./verification.ts");
    const statusOf = (file: string) =>
      routeStatus(file, { ...this.services, now: this.tokens.now }, asking);
    const turn = await reader.ask("readRoute", { file }, asking);
    const { content: { name, sha256 }, steps, next } = await statusOf(file);
    const item = content.item(name, ROUTE_HASH);
    if (sha256 !== item.hash.hex) {
      throw new DsignError("signature_mismatch", "The signing route belongs to other content.");
    }
    return await this.#keys.use(
      {
        ...params,
        ...item.pdf && { show: showOnly(bytesSource(content.bytes), this.#readFor(caller)) },
        hash: ROUTE_HASH,
        format: "signing route statement",
        items: [{ ...item, route: { steps, next } }],
        blind: false,
        accepts: (certificate) =>
          isTurnOf(turn, certificateOf(certificate))
            ? null
            : new DsignError("out_of_turn", whoIsNext(turn)),
      },
      caller,
      async (lease) => {
        const { route, role } = await this.#make(
          (by, asking) =>
            reader.ask("signStatement", { file, content: plain(content), ...by }, asking),
          { lease, caller, isOurs: (bytes, by) => isStatement(bytes, sha256, by) },
        );
        const status = await statusOf(route);
        return { route, role, status, ...signedWith(lease.signer) };
      },
    );
  }

  /** For the person: who is asked for the level. */
  #network(level: Level): Pick<Wanted, "network"> {
    if (level === "B-B") return {};
    const { timestampAuthority } = this.services.online.options;
    const host = timestampAuthority ? new URL(timestampAuthority).host : null;
    return { network: { level, timestampAuthority: host } };
  }

  async #trust(): Promise<Trust> {
    const anchors = await this.services.anchors();
    return { anchors: anchors.map(({ der }) => der), now: this.tokens.now().toISOString() };
  }

  #readFor({ asker: { origin } }: Caller, password?: string): ReadFor {
    return {
      reader: this.services.reader,
      origin: origin ?? undefined,
      password,
      trust: () => this.#trust(),
    };
  }

  /**
   * Makes a signature over data: the reader puts the file together, the key signs here, and only what is over the
   * content that the person was shown.
   */
  async #make<T>(
    ask: (by: DataBy, asking: Asking) => Promise<Stepped<DataStep, T>>,
    { lease, caller, isOurs }: {
      lease: Lease;
      caller: Caller;
      isOurs: (toBeSigned: Uint8Array, by: SignedBy) => boolean;
    },
  ): Promise<T> {
    const { certificate, chain, algorithm } = lease.signer;
    const signer = { certificate, chain, algorithm };
    const signingTime = this.tokens.now();
    const now = signingTime.toISOString();
    const { signal } = caller;
    return await askInSteps(
      (done) => ask({ signer, hash: algorithm.hash, now, done }, askingFor(caller)),
      async (step) => {
        if (!("sign" in step)) {
          return await performFor(this.services.online, step, askingFor(caller));
        }
        if (!isOurs(step.sign, { ...signer, signingTime })) {
          throw new DsignError("signature_invalid");
        }
        return await sign(lease, { message: step.sign }, signal);
      },
    );
  }

  /** Detached CAdES over a document of any kind. */
  async signDocument(
    document: Document,
    { level, also, ...params }: Pick<ParsedParams<"sign.document">, "certificate" | "level"> & {
      also?: Also<Uint8Array>;
    },
    caller: Caller,
  ) {
    const second = also && await this.#keys.second(also.certificate, caller);
    return await document.held(() =>
      this.#keys.use(
        {
          ...params,
          ...second && { also: second, accepts: notBoth },
          hash: (certificate) => document.hashFor(certificate),
          format: `CAdES ${level}`,
          ...this.#network(level),
          items: [document.item()],
          blind: false,
          show: showOnly(document.kept, this.#readFor(caller)),
        },
        caller,
        async (lease) => {
          const content = document.digest(lease.signer.algorithm.hash);
          const signature = await this.#signCades(lease, content, level, caller);
          return {
            signature: signature.toBase64(),
            digest: content.toBase64(),
            ...signedWith(lease.signer),
            ...also && { beside: await this.#signBeside(lease, also, signature, level, caller) },
          };
        },
      )
    );
  }

  /** The second signature, over all of the signed file; Base64. */
  async #signBeside<T>(
    { also }: Lease,
    { digest }: Also<T>,
    made: T,
    level: Level,
    caller: Caller,
  ): Promise<string> {
    return (await this.#signCades(also!, await digest(made), level, caller)).toBase64();
  }

  /**
   * PAdES: a signature within a PDF.
   *
   * @param document is being kept
   */
  async signPdf(
    document: Document,
    options: PdfOptions,
    { also, ...params }: Pick<ParsedParams<"sign.document">, "certificate"> & {
      also?: Also<Uint8Array>;
    },
    caller: Caller,
  ) {
    const second = also && await this.#keys.second(also.certificate, caller);
    return await document.held(async () => {
      const { placement } = this.services;
      const placed = await placement.place(sourceOf(document), options, askingFor(caller));
      const { now } = this.tokens;
      const revisions = new Revisions(document, placed, this.services, askingFor(caller), now);
      const by = this.#readFor(caller, options.password);
      return await this.#keys.use(
        {
          ...params,
          ...second && { also: second, accepts: notBoth },
          hash: document.asked,
          format: nameOfPades(options),
          ...this.#network(options.level),
          items: [{ ...document.item(), pdf: { adds: additionsOf(placed) } }],
          blind: false,
          revisions,
          show: async (item, credential) => {
            if (item !== 0) throw new DsignError("document_not_found");
            return shownPdf(
              document.kept,
              by,
              credential && await revisions.prepare(credential),
            );
          },
        },
        caller,
        async (lease) => {
          const { credential, signer } = lease;
          caller.progress?.("signing");
          const signed = await revisions.sign(credential, signer);
          const { level } = options;
          return {
            ...signed,
            ...signedWith(signer),
            ...also && {
              beside: await this.#signBeside(lease, also, signed.appended, level, caller),
            },
          };
        },
      );
    });
  }

  /**
   * Asks for consent to a whole list, and opens the key for the documents that will come.
   *
   * @throws {DsignError} `busy` where the same batch is being signed already
   */
  async startBatch(params: BatchParams, caller: Caller, bring: Bring): Promise<Batch> {
    const { items, format, level, certificate } = params;
    const { journals } = this.services;
    const options = PdfOptions.parse(params.pdf ?? {});
    const { origin } = caller.asker;
    const manifest = manifestHash(items);
    await journals.tidy(this.tokens.now());
    const { credentials } = await this.tokens.list();
    const counts = new Map(
      await Promise.all(credentials.map(async ({ id }) => {
        const signed = await journals.signed(journalName(origin, params, id, manifest));
        return [id, signed.length] as const;
      })),
    );
    // Rules, certificate and time are the same for what is shown and what is signed of an item.
    const common = new BatchSigning(this.tokens.now());
    const by = this.#readFor(caller, options.password);
    const revisionsOf = async (document: Document) => {
      const { placement } = this.services;
      const placed = await placement.place(sourceOf(document), options, askingFor(caller));
      return new Revisions(
        document,
        placed,
        this.services,
        askingFor(caller),
        this.tokens.now,
        common,
      );
    };
    /** Digests of what was looked at, by item and certificate. */
    const looked = new Map<string, string>();
    const wanted: Wanted = {
      certificate,
      hash: undefined,
      format: format === "cades" ? `CAdES ${level}` : nameOfPades(options),
      ...this.#network(format === "cades" ? level : options.level),
      items: items.map((item) => batchItem(item, format, options)),
      blind: false,
      async show(item, credential) {
        const document = await bring(item);
        if (format === "cades" || !credential) return shownPdf(document.kept, by);
        const revision = await (await revisionsOf(document)).prepare(credential);
        looked.set(`${item} ${credential.id}`, revision.digest);
        return shownPdf(document.kept, by, revision);
      },
      batch: {
        manifest,
        signed: (id) => counts.get(id) ?? 0,
        signedNow: () => batch?.signed.length,
      },
    };
    let batch: Batch | undefined;
    const started = Promise.withResolvers<Batch>();
    const session = this.#keys.use(wanted, caller, async (lease) => {
      const journal = await journals.open(
        journalName(origin, params, lease.credential.id, manifest),
      );
      const { credential, signer } = lease;
      const make = (document: Document, item: number) =>
        document.held(async () => {
          if (format === "pades") {
            const revisions = await revisionsOf(document);
            const { digest, boxes } = await revisions.prepare(credential);
            const shown = looked.get(`${item} ${credential.id}`);
            if (shown === undefined) refuseCovering(boxes);
            if (!revisions.approve(credential, shown ?? digest)) {
              throw new DsignError("consent_mismatch");
            }
            const { appended, field } = await revisions.sign(credential, signer);
            return { bytes: appended, field };
          }
          const content = document.digest(lease.signer.algorithm.hash);
          return { bytes: await this.#signCades(lease, content, level, caller), field: "" };
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

  async signHash(
    params: ParsedParams<"sign.hash">,
    caller: Caller,
  ): Promise<Result<"sign.hash">> {
    const digests = params.digests.map((digest) => Uint8Array.fromBase64(digest));
    const length = HASHES[params.hash].length;
    if (digests.some((digest) => digest.length !== length)) {
      throw new DsignError("invalid_params", `digests: each must be ${length} bytes long.`);
    }
    const items = digests.map((digest) => ({
      name: "",
      mediaType: "",
      size: null,
      hash: { algorithm: params.hash, hex: digest.toHex() },
      preview: null,
    }));
    const wanted = { ...params, format: "digest", items, blind: true, accepts: noDigests };
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
    { nonce, certificate, anyPurpose }: ParsedParams<"auth.authenticate">,
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
        anyPurpose || mayAuthenticate(der, now)
          ? noLogin(der)
          : new DsignError("certificate_not_for_login"),
    };
    return await this.#keys.use(wanted, caller, async (lease) => {
      const { certificate, algorithm } = lease.signer;
      const message = webEidMessage(origin, nonce, algorithm.hash);
      const signature = await sign(lease, { message }, caller.signal);
      return webEidToken(certificate, algorithm, signature, appVersion);
    });
  }

  async #signNew(how: NewHow, content: Content, lease: Lease, caller: Caller) {
    const prepared = prepareNew(how, content, lease.signer, this.tokens.now());
    return await this.#complete(prepared, how.level, plain(content), lease, caller);
  }

  /** @param digest by the signature's own hash */
  async #signCades(lease: Lease, digest: Uint8Array, level: Level, caller: Caller) {
    const { signer } = lease;
    const prepared = prepareSignedData({ digest }, signer, { signingTime: this.tokens.now() });
    const { hash } = signer.algorithm;
    return await this.#complete(prepared, level, { hash, digest }, lease, caller);
  }

  /** Signs what was prepared here. A reader brings it to a level above B-B, which strangers' answers are parsed for. */
  async #complete(
    prepared: Prepared,
    level: Level,
    content: Parameters<typeof questions["raiseLast"]>[0]["content"],
    lease: Lease,
    caller: Caller,
  ): Promise<Uint8Array> {
    const message = prepared.toBeSigned;
    const signature = prepared.complete(await sign(lease, { message }, caller.signal));
    if (level === "B-B") return signature;
    const { certificate } = lease.signer;
    const { reader, online } = this.services;
    const asking = askingFor(caller);
    return await askInSteps(
      (done) => reader.ask("raiseLast", { signature, level, content, certificate, done }, asking),
      (step) => performFor(online, step, asking),
    );
  }
}

/**
 * What the person must see in red is not drawn in a document of a batch that they have not opened.
 *
 * @throws {DsignError} `consent_mismatch`
 */
function refuseCovering(boxes: readonly PlacedBox[]): void {
  const bad = boxes.find(({ overText, large }) => overText !== false || large);
  if (!bad) return;
  throw new DsignError(
    "consent_mismatch",
    `The signature would cover much of page ${bad.page}, or text on it. In a list, open this document before you sign, or sign it alone.`,
  );
}

const plain = ({ bytes, mediaType }: Content) => ({ bytes, mediaType });

/** For whom documents are read, and until when. */
const askingFor = ({ asker: { origin }, signal }: Caller) => ({
  origin: origin ?? undefined,
  signal,
});

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

/** For the audit log. */
function nameOfFormat(how: DataHow): string {
  const names = { cades: "CAdES", xades: "XAdES", xmldsig: "XMLDSIG", jws: "JAdES", raw: "raw" };
  const level = how.format === "raw" || how.format === "xmldsig" ? "" : ` ${how.level}`;
  const beside = "countersign" in how
    ? ", countersignature"
    : "cosign" in how && how.cosign
    ? ", co-signature"
    : "";
  return names[how.format] + level + beside;
}

/** For the audit log. */
const nameOfPades = ({ subFilter, level }: PdfOptions): string =>
  subFilter === "adbe.pkcs7.detached" ? subFilter : `PAdES ${level}`;
