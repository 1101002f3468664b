/** The routes of the Cloud Signature Consortium's API, versions 2 and 1.0.4. */
import {
  type CredentialInfo,
  CSC_LIMITS,
  CSC_METHODS,
  CSC_SPECS,
  type CscMethod,
  type CscParams,
  type CscResult,
  OIDS,
} from "../protocol/csc.ts";
import { fromV1, toV1 } from "../protocol/csc_v1.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { type Binding, RULES } from "./authorize.ts";
import { CscError } from "./error.ts";
import { keySpec, schemeOf } from "./keys.ts";
import { sha256, token } from "./secrets.ts";
import {
  type Access,
  access,
  type App,
  basic,
  clientBySecret,
  isKnown,
  LIFETIME,
  parse,
  personClient,
  readJson,
  type Service,
} from "./service.ts";
import { algorithmsOf, checkHashes, hashByOid, signDoc, signHash } from "./sign.ts";
import type { Credential, PersonRow } from "./store.ts";
import { requestTimestamp } from "../online/timestamp.ts";

type Handler<M extends CscMethod> = (
  params: CscParams<M>,
  caller: Access,
  request: Request,
) => Promise<CscResult<M>>;

/** Bytes of what strangers may send. */
const SMALL = 64 * 1024;

/** Adds `/csc/v2/…` and `/csc/v1/…`. */
export function addCscRoutes(app: App, service: Service): void {
  const handlers = cscHandlers(service);
  for (const method of Object.keys(CSC_METHODS) as CscMethod[]) {
    const { params, access: wanted } = CSC_METHODS[method];
    const handle = handlers[method] as Handler<CscMethod>;
    const add = (path: string, v1: boolean) =>
      app.post(path, async (context) => {
        const request = context.req.raw;
        // Who calls comes first: strangers learn nothing of the parameters.
        const caller = wanted === "anyone" ? null : await access(service, request);
        const body = await readJson(request, wanted === "anyone" ? SMALL : CSC_LIMITS.body);
        const parsed = parse(params, v1 ? fromV1(method, body) : body);
        const result = await handle(parsed as never, caller as Access, request);
        if (result === null) return context.body(null, 204);
        if (!v1) return context.json(result);
        if (method === "credentials/info") return context.json(toV1(result as CredentialInfo));
        return context.json(method === "info" ? infoV1(result as CscResult<"info">) : result);
      });
    add(`/csc/v2/${method}`, false);
    add(`/csc/v1/${method === "credentials/getChallenge" ? "credentials/sendOTP" : method}`, true);
  }
}

const infoV1 = (info: CscResult<"info">) => ({
  ...info,
  specs: "1.0.4.0",
  methods: info.methods.map((method) =>
    method === "credentials/getChallenge" ? "credentials/sendOTP" : method
  ),
});

function cscHandlers(service: Service): { [M in CscMethod]: Handler<M> } {
  const { store, ceremony, people, authority, keys, tsa, validationData } = service;
  const signing = { store, keys, authority, tsa, validationData };

  /** The credential, if the caller may know of it. */
  const credentialFor = (id: string, caller: Access) =>
    store.read(async (tx) => {
      const credential = await tx.credential(id);
      const row = credential && await tx.person(credential.person);
      return credential && row && (caller.person ?? row.person.id) === row.person.id
        ? { credential, row }
        : null;
    });
  const knownCredential = async (id: string, caller: Access) => {
    const found = await credentialFor(id, caller);
    if (!found) throw new CscError("credential_invalid");
    return found;
  };
  /** Only the explicit mode is talked to here; the other has its page. */
  const explicit = ({ credential, row }: { credential: Credential; row: PersonRow }) => {
    if (credential.mode !== "explicit") throw new CscError("credential_invalid", "oauth2code");
    if (row.locked !== null) throw new CscError("credential_disabled", row.locked);
    return credential;
  };
  const caller = ({ client, transaction, token }: Access) => ({
    client,
    ...transaction !== undefined && { sad: sha256(token) },
  });

  return {
    // deno-lint-ignore require-await -- the table's shape
    "info": async ({ lang }) => ({
      specs: CSC_SPECS,
      name: service.name,
      logo: `${service.publicUrl}/web/icon.svg`,
      region: service.country,
      lang: lang ?? service.language,
      description: `PIN/OTP signatures of ${service.organization}`.slice(0, 255),
      authType: ["basic", "oauth2code", "oauth2client"],
      oauth2: service.publicUrl,
      asynchronousOperationMode: false,
      methods: [
        ...Object.keys(CSC_METHODS).filter((method) => tsa || method !== "signatures/timestamp"),
        "oauth2/authorize",
        "oauth2/pushed_authorize",
        "oauth2/token",
        "oauth2/revoke",
      ],
      validationInfo: true,
      signAlgorithms: { algos: Object.values(OIDS).slice(3) },
      signature_formats: {
        formats: ["C", "P"],
        envelope_properties: [["Detached", "Attached"], ["Certification", "Revision"]],
      },
      conformance_levels: ["AdES-B-B", ...tsa ? ["AdES-B-T", "AdES-B-LT"] : []],
    }),

    "auth/login": async ({ refresh_token, rememberMe }, _caller, request) => {
      if (refresh_token !== undefined) return await refresh(service, refresh_token);
      const given = basic(request);
      if (!given) throw new CscError("authentication_parameter");
      const client = clientBySecret(service, given.user, given.password);
      const person = client ? null : await people.checkPin(given.user, given.password);
      return await store.run(async (tx) => {
        if (!client && !person) {
          tx.audit({ event: "person.sign_in_refused" });
          return null;
        }
        const family = token();
        const whose = client
          ? { client: client.id }
          : { client: personClient(person!.id), person: person!.id };
        tx.audit({ event: client ? "client.signed_in" : "person.signed_in", ...whose });
        return {
          access_token: await tx.issue({ kind: "access", ...whose }, LIFETIME.access, family),
          ...rememberMe && {
            refresh_token: await tx.issue(
              { kind: "refresh", client: whose.client, person: person?.id },
              LIFETIME.refresh,
              family,
            ),
          },
          expires_in: LIFETIME.access / 1000,
        };
      }).then((result) => {
        if (!result) throw new CscError("login_failed");
        return result;
      });
    },

    "auth/revoke": async ({ token }, { client }) => {
      await revoke(service, token, client);
      return null;
    },

    "credentials/list": async (params, caller) => {
      if (caller.person !== undefined && params.userID !== undefined) {
        throw new CscError("user_id_not_null");
      }
      const userID = caller.person ?? params.userID;
      if (userID === undefined) throw new CscError("user_id_invalid");
      const found = await store.read(async (tx) => {
        const row = await tx.person(userID);
        if (!row) return null;
        const usable = row.locked === null && row.guard.pinTries < RULES.pinTries;
        const credentials: Credential[] = [];
        for (const each of await tx.credentialsOf(userID)) {
          const certificate = each.serial && await tx.certificate(each.serial);
          const good = usable &&
            (!certificate || certificate.revokedAt === null && certificate.notAfter > tx.now);
          if (good || !params.onlyValid) credentials.push(each);
        }
        return { row, credentials };
      });
      if (!found) throw new CscError("user_id_invalid");
      const { row, credentials } = found;
      return {
        credentialIDs: credentials.map(({ id }) => id),
        ...params.credentialInfo && {
          credentialInfos: await Promise.all(credentials.map(async (credential) => ({
            credentialID: credential.id,
            ...await describe(service, credential, row, params),
          }))),
        },
        ...params.onlyValid && { onlyValid: true },
      };
    },

    "credentials/info": async (params, caller) => {
      const { credential, row } = await knownCredential(params.credentialID, caller);
      return await describe(service, credential, row, params);
    },

    "credentials/getChallenge": async (params, caller) => {
      const credential = explicit(await knownCredential(params.credentialID, caller));
      if (params.authObjectID !== "OTP") throw new CscError("auth_object_invalid");
      const binding = params.hashes && bind({
        ...params,
        hashes: params.hashes,
        numSignatures: params.numSignatures ?? params.hashes.length,
      });
      const open = await store.read((tx) =>
        tx.transaction({ client: caller.client, credential: credential.id })
      );
      const same = open && store.now() < open.transaction.createdAt + RULES.lifetime &&
        JSON.stringify(open.transaction.binding) === JSON.stringify(binding);
      await ceremony.send(
        same ? open.transaction.id : await ceremony.open({
          client: caller.client,
          credential,
          binding,
          facts: facts(params.description, binding?.hashes.length ?? 1),
        }),
      );
      return null;
    },

    "credentials/authorize": async (params, caller) => {
      const binding = bind(params);
      const value = (id: string) => params.authData.find((each) => each.id === id)?.value ?? "";
      const factors = { pin: value("PIN"), otp: value("OTP") };
      const found = await credentialFor(params.credentialID, caller);
      // An unknown credential has the same answer as a wrong PIN, after the same work.
      const credential = found && explicit(found);
      let open = credential &&
        await store.read((tx) =>
          tx.transaction({ client: caller.client, credential: credential.id })
        ).then((open) => open?.transaction.id ?? null);
      // An authenticator's OTP needs no message before it; the authorization counts all the same.
      if (credential && !open && found!.row.person.otp === "totp") {
        open = await ceremony.open({
          client: caller.client,
          credential,
          binding,
          facts: facts(params.description, binding.hashes.length),
        });
        await ceremony.send(open);
      }
      const answer = await ceremony.answer(open, factors, { binding });
      if (!answer.ok) {
        throw new CscError(
          answer.refusal === "locked" ? "credential_locked" : "authentication_data",
          answer.refusal,
        );
      }
      return { SAD: answer.sad, expiresIn: answer.expiresIn };
    },

    // Every answer of credentials/authorize is final, so no handle was ever given out.
    "credentials/authorizeCheck": () => Promise.reject(new CscError("handle_invalid")),

    "credentials/extendTransaction": async (params, caller) => {
      if (params.hashes && params.hashAlgorithmOID) {
        checkHashes(params.hashes, params.hashAlgorithmOID);
      }
      return await ceremony.extend({
        sad: sha256(params.SAD),
        client: caller.client,
        credential: params.credentialID,
        hashAlgorithm: params.hashAlgorithmOID,
      }, params.hashes);
    },

    "signatures/signHash": (params, access) => signHash(signing, caller(access), params),
    "signatures/signDoc": (params, access) => signDoc(signing, caller(access), params),

    "signatures/timestamp": async ({ hash, hashAlgo, nonce }) => {
      if (!tsa) throw new CscError("unavailable", "no timestamp authority is configured");
      checkHashes([hash], hashAlgo);
      const made = await requestTimestamp(
        tsa,
        hashByOid(hashAlgo),
        Uint8Array.fromBase64(hash),
        { nonce: nonce === undefined ? undefined : Uint8Array.fromHex(nonce.padStart(16, "0")) },
      );
      return { timestamp: made.toBase64() };
    },
  };
}

/** @throws {CscError} `too_many_signatures`, `hash_length`, `hash_algorithm_invalid` */
function bind({ hashes, hashAlgorithmOID = OIDS.sha256, numSignatures }: {
  hashes: string[];
  hashAlgorithmOID?: string;
  numSignatures: number;
}): Binding {
  if (numSignatures < hashes.length || numSignatures > RULES.signatures) {
    throw new CscError("too_many_signatures");
  }
  checkHashes(hashes, hashAlgorithmOID);
  return { hashes, hashAlgorithm: hashAlgorithmOID, signatures: numSignatures };
}

/** The description is what people are shown as the purpose. */
export function facts(description: string | undefined, documents: number, labels?: string[]) {
  return {
    purpose: description ?? "—",
    labels: labels ??
      Array.from({ length: documents }, (_, i) => `${description ?? "—"} (${i + 1})`),
  };
}

async function describe(
  { store, authority, language, organization }: Service,
  credential: Credential,
  { person, guard, locked }: PersonRow,
  wanted: { certificates: "none" | "single" | "chain"; certInfo: boolean; authInfo: boolean },
): Promise<CredentialInfo> {
  const { bits, curve } = keySpec(credential.keyType);
  const row = credential.serial === undefined
    ? null
    : await store.read((tx) => tx.certificate(credential.serial!));
  const chain = row ? [row.der, ...authority.chain] : [];
  const parsed = row && wanted.certInfo ? readCertificate(row.der) : null;
  const time = (date: Date) => date.toISOString().slice(0, 19).replace(/[-:T]/g, "") + "Z";
  return {
    description: `Departmental PIN/OTP signature, ${organization}`.slice(0, 255),
    key: {
      status: locked === null && guard.pinTries < RULES.pinTries ? "enabled" : "disabled",
      algo: algorithmsOf(schemeOf(credential.keyType)),
      len: bits,
      ...curve && { curve },
    },
    cert: {
      ...row && {
        status: row.revokedAt !== null
          ? "revoked" as const
          : row.notAfter <= store.now()
          ? "expired" as const
          : "valid" as const,
      },
      ...wanted.certificates !== "none" && {
        certificates: chain.slice(0, wanted.certificates === "single" ? 1 : undefined)
          .map((der) => new Uint8Array(der).toBase64()),
      },
      ...parsed && {
        issuerDN: parsed.issuer.toString(),
        serialNumber: row!.serial.toUpperCase(),
        subjectDN: parsed.subject.toString(),
        validFrom: time(parsed.notBefore),
        validTo: time(parsed.notAfter),
      },
    },
    auth: {
      mode: credential.mode,
      ...wanted.authInfo && credential.mode === "explicit" && {
        expression: "PIN AND OTP",
        objects: [
          {
            type: "Password" as const,
            id: "PIN" as const,
            format: "N" as const,
            label: "PIN",
            description: "The signing PIN",
          },
          {
            type: "Password" as const,
            id: "OTP" as const,
            format: "N" as const,
            ...person.otp === "totp" && { generator: "totp" },
            label: "OTP",
            description: person.otp === "totp"
              ? "The digits of the authenticator app"
              : `The digits sent by ${person.otp}`,
          },
        ],
      },
    },
    // Only where PIN and OTP never pass through the portal (EN 419 241-1: sole control, level 2).
    SCAL: credential.mode === "oauth2code" ? "2" : "1",
    multisign: CSC_LIMITS.signatures,
    lang: language,
  };
}

/** A new access token for a refresh token; of the same family, so that both are revoked together. */
export async function refresh(
  service: Service,
  value: string,
  client?: string,
): Promise<{ access_token: string; expires_in: number }> {
  return await service.store.run(async (tx) => {
    const found = await tx.read("refresh", value);
    const refused = () =>
      new CscError(client === undefined ? "login_refresh_token" : "refresh_token_invalid");
    if (!found || !isKnown(service, found.data)) throw refused();
    const { client: id, person } = found.data;
    if (client !== undefined && id !== client) throw refused();
    if (person !== undefined && (await tx.person(person))?.locked !== null) throw refused();
    return {
      access_token: await tx.issue(
        { kind: "access", client: id, ...person && { person } },
        LIFETIME.access,
        found.family!,
      ),
      expires_in: LIFETIME.access / 1000,
    };
  });
}

/**
 * Revokes a token of this client: of a refresh token, all access tokens too (§8.4.5). Others' are left alone. One that is a
 * SAD takes its authorization with it: it could be presented beside another token.
 */
export async function revoke(
  { store, ceremony }: Service,
  value: string,
  client: string,
): Promise<void> {
  const transaction = await store.run(async (tx) => {
    const refresh = await tx.read("refresh", value);
    if (refresh?.data.client === client) await tx.revoke({ family: refresh.family! });
    const found = await tx.read("access", value);
    if (found?.data.client !== client) return undefined;
    await tx.revoke({ value });
    return found.data.transaction;
  });
  if (transaction !== undefined) await ceremony.end(transaction, "revoked");
}
