/** The routes of the Cloud Signature Consortium's API, versions 2 and 1.0.4. */
import {
  type CredentialInfo,
  CSC_LIMITS,
  CSC_METHODS,
  CSC_SPECS,
  type CscMethod,
  type CscParams,
  type CscResult,
  type CscVersion,
  HASH_TYPES,
  OIDS,
} from "../protocol/csc.ts";
import { fromV1, toV1 } from "../protocol/csc_v1.ts";
import { checkHashes, hashByOid } from "./algorithms.ts";
import { RULES } from "./authorize.ts";
import { describe } from "./credential_info.ts";
import { CscError } from "./error.ts";
import { isUsable } from "./people.ts";
import { cscCode } from "./refusals.ts";
import { bind, facts } from "./request.ts";
import type { Credential, PersonRow } from "./rows.ts";
import { sha256, token } from "./secrets.ts";
import {
  type Access,
  access,
  type App,
  basic,
  clientBySecret,
  parse,
  personClient,
  readJson,
  type Service,
} from "./service.ts";
import { signDoc, signHash } from "./sign.ts";
import { giveTokens, refresh, revoke } from "./tokens.ts";
import { requestTimestamp } from "../online/timestamp.ts";

type Handler<M extends CscMethod> = (
  params: CscParams<M>,
  caller: Access,
  request: Request,
) => Promise<CscResult<M>>;

/** Bytes of what strangers may send. */
const SMALL = 64 * 1024;

/** Adds `/csc/v2.2/…`, `/csc/v2/…` and `/csc/v1/…`. */
export function addCscRoutes(app: App, service: Service): void {
  const handlers = cscHandlers(service);
  for (const method of Object.keys(CSC_METHODS) as CscMethod[]) {
    const { params, access: wanted } = CSC_METHODS[method];
    const handle = handlers[method] as Handler<CscMethod>;
    const add = (version: CscVersion, name: string) =>
      app.post(`/csc/${version}/${name}`, async (context) => {
        const v1 = version === "v1";
        const request = context.req.raw;
        // Authenticate first, so that strangers learn nothing about the parameters.
        const caller = wanted === "anyone" ? null : await access(service, request);
        const body = await readJson(request, wanted === "anyone" ? SMALL : CSC_LIMITS.body);
        const parsed = parse(params, v1 ? fromV1(method, body) : body);
        const result = await handle(parsed as never, caller as Access, request);
        if (result === null) return context.body(null, 204);
        if (method === "info") return context.json(infoOf(version, result as CscResult<"info">));
        if (!v1) return context.json(result);
        return context.json(
          method === "credentials/info" ? toV1(result as CredentialInfo) : result,
        );
      });
    add("v2.2", method);
    add("v2", method);
    add("v1", method === "credentials/getChallenge" ? "credentials/sendOTP" : method);
  }
}

/** `info` of a version. 2.2 wants either `oauth2` or `oauth2Servers`; 2.0 and 1.0.4 know `oauth2` alone. */
function infoOf(version: CscVersion, info: CscResult<"info">): CscResult<"info"> {
  const { oauth2, supportsRar, ...rest } = { ...info, specs: CSC_SPECS[version] };
  switch (version) {
    case "v2.2":
      return {
        ...rest,
        oauth2Servers: [{
          label: info.name,
          issuerIdentifier: oauth2!,
          authType: info.authType.filter((type) => type.startsWith("oauth2")),
          supportsRar: supportsRar!,
        }],
      };
    case "v2":
      return { ...rest, oauth2, supportsRar };
    case "v1":
      return {
        ...rest,
        oauth2: `${oauth2}/csc/v1`,
        methods: info.methods.map((method) =>
          method === "credentials/getChallenge" ? "credentials/sendOTP" : method
        ),
      };
  }
}

function cscHandlers(service: Service): { [M in CscMethod]: Handler<M> } {
  const { reader, store, ceremony, people, authority, keys, clients, tsa, validationData } =
    service;
  const signing = { reader, store, keys, authority, tsa, validationData };

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
      specs: CSC_SPECS.v2,
      name: service.name,
      logo: `${service.publicUrl}/web/icon.png`,
      region: service.country,
      lang: lang ?? service.language,
      description: `PIN/OTP signatures of ${service.organization}`.slice(0, 255),
      authType: ["basic", "oauth2code", "oauth2client"],
      oauth2: service.publicUrl,
      supportsRar: true,
      supportedHashTypes: [...HASH_TYPES],
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
      conformance_levels: [
        "AdES-B-B",
        ...tsa ? ["AdES-B-T", "AdES-B-LT", "AdES-B-LTA"] : [],
      ],
    }),

    "auth/login": async ({ refresh_token, rememberMe }, _caller, request) => {
      const given = basic(request);
      if (refresh_token !== undefined) {
        const client = given && clientBySecret(service, given.user, given.password);
        return await refresh(service, refresh_token, client, "login_refresh_token");
      }
      if (!given) throw new CscError("authentication_parameter");
      const client = clientBySecret(service, given.user, given.password);
      // not in the audit, which strangers could fill with it: the person's row counts what was wrong
      const holder = client ? null : await people.checkPin(given.user, given.password, "stranger");
      if (!client && !holder) throw new CscError("login_failed");
      return await store.run((tx) => {
        const whose = holder
          ? { client: personClient(holder.person), holder }
          : { client: client!.id };
        tx.audit({
          event: holder ? "person.signed_in" : "client.signed_in",
          client: whose.client,
          person: holder?.person,
        });
        return giveTokens(tx, whose, token(), rememberMe);
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
      const client = clients.find(({ id }) => id === caller.client);
      const userID = caller.person ?? (client?.listsPersons ? params.userID : undefined);
      if (userID === undefined) throw new CscError("user_id_invalid");
      const found = await store.read(async (tx) => {
        const row = await tx.person(userID);
        if (!row) return null;
        const usable = isUsable(row);
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
      const sent = await ceremony.send(
        same ? open.transaction.id : await ceremony.open({
          client: caller.client,
          credential,
          binding,
          facts: facts(params.description, binding?.hashes.length ?? 1),
        }),
      );
      if (sent.ok) return null;
      const { refusal } = sent;
      throw new CscError(
        refusal === "not_delivered" ? "otp_not_delivered" : cscCode("send", refusal),
      );
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
      const answer = await ceremony.answer(open, factors, { binding, client: caller.client });
      if (!answer.ok) throw new CscError(cscCode("answer", answer.refusal), answer.refusal);
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
        reader,
        tsa,
        hashByOid(hashAlgo),
        Uint8Array.fromBase64(hash),
        { nonce: nonce === undefined ? undefined : Uint8Array.fromHex(nonce.padStart(16, "0")) },
      );
      return { timestamp: made.toBase64() };
    },
  };
}
