/**
 * A fake eSign service provider (ESP), which behaves by the published samples of the eSign API 2.1: it checks the
 * request, makes a key and a certificate of thirty minutes, signs the digest as PKCS #7 in BER of indefinite length, and
 * signs its answer. It can also misbehave.
 */
import { readAsn1 } from "../../formats/asn1/read.ts";
import {
  basicConstraints,
  certificatePolicies,
  crlDistributionPoints,
  keyUsage,
} from "../fixtures/extensions.ts";
import { prepareSignedData } from "../../formats/cms/write.ts";
import { concat } from "../../formats/asn1/der.ts";
import type { HashName } from "../../formats/signer.ts";
import { prepareXmlSignature } from "../../formats/xml/xades.ts";
import { verifyXml } from "../../formats/xml/xades_verify.ts";
import { parseXml } from "../../formats/xml/document.ts";
import { escapeAttribute } from "../../formats/xml/escape.ts";
import { attribute, descendantsNamed, textOf } from "../../formats/xml/tree.ts";
import type { ServiceOptions } from "../../otp_service/compose.ts";
import { issue, type Party } from "../fixtures/issue.ts";
import { signBytes, testKey } from "../fixtures/keys.ts";

const MINUTE = 60_000;
/** OTP eKYC (CCA). */
const OTP_EKYC = "2.16.356.100.2.4.1";

export interface EspChoices {
  /** Signed instead of the digest in the request. */
  digest?: Uint8Array;
  txn?: string;
  /** Whose certificate is put into the answer. */
  certificate?: Uint8Array;
  /** Signs the answer instead of the ESP. */
  signer?: Party;
  /** As the published samples: the answer names no certificate. */
  withoutKeyInfo?: boolean;
  /** Of the person's signature; otherwise the key's. */
  hash?: HashName;
  /** Changes the PKCS #7 (DER); default: {@linkcode indefinite}. */
  pkcs7?: (made: Uint8Array) => Uint8Array;
  /** Changes the answer before it is signed. */
  xml?: (answer: string) => string;
  /** Of the person's certificate, in place of OTP eKYC. */
  policies?: string[];
}

/** How a service is told of it. */
export function espOptions(
  { root, party, asp: { id } }: FakeEsp,
  { certificate, key }: Party,
  url: string,
): NonNullable<ServiceOptions["esp"]> {
  return {
    url,
    aspId: id,
    asp: {
      certificate: certificate.der,
      chain: [],
      algorithm: key.algorithm,
      sign: (input) => Promise.resolve(signBytes(key, (input as { message: Uint8Array }).message)),
    },
    certificates: [party.certificate],
    anchors: [root.certificate],
    origins: [new URL(url).origin],
    auth: "otp",
  };
}

/** The keys of an ESP; the real one's people have one for each signature. */
export const espKeys = (newKey = testKey) => ({
  root: newKey(),
  party: newKey(),
  person: newKey(),
});

export class FakeEsp {
  readonly root: Party;
  /** Signs the answers. */
  readonly party: Party;
  /** Address of its CRL, if it has one. */
  crlUrl?: string;
  readonly #seen = new Set<string>();

  constructor(
    readonly asp: { id: string; certificate: Uint8Array },
    readonly now = Date.now,
    readonly keys = espKeys(),
  ) {
    const authority = {
      notBefore: new Date(now() - 24 * 60 * MINUTE),
      notAfter: new Date(now() + 24 * 60 * MINUTE),
    };
    this.root = issue({
      ...authority,
      subject: [["C", "IN"], ["O", "ESP (TEST)"], ["CN", "eSign CA (TEST)"]],
      key: keys.root,
      extensions: [basicConstraints(true, 0), keyUsage("keyCertSign", "cRLSign")],
    });
    this.party = issue({
      ...authority,
      subject: [["C", "IN"], ["O", "ESP (TEST)"], ["CN", "eSign answers (TEST)"]],
      issuer: this.root,
      key: keys.party,
      extensions: [keyUsage("digitalSignature")],
    });
  }

  /** The person agrees, and their eKYC succeeds. */
  approve(form: Record<string, string>, name: string, choices: EspChoices = {}) {
    const { txn, digest, refusal } = this.#read(form);
    if (refusal) return this.#answer(txn, choices, refusal);
    this.#seen.add(txn);
    const now = this.now();
    const person = issue({
      subject: [["C", "IN"], ["O", "Personal"], ["CN", name]],
      issuer: this.root,
      key: this.keys.person,
      notBefore: new Date(now),
      notAfter: new Date(now + 30 * MINUTE),
      extensions: [
        keyUsage("digitalSignature", "nonRepudiation"),
        certificatePolicies(...choices.policies ?? [OTP_EKYC]),
        ...this.crlUrl ? [crlDistributionPoints(this.crlUrl)] : [],
      ],
    });
    const { certificate: { der }, key } = person;
    const algorithm = { ...key.algorithm, hash: choices.hash ?? key.algorithm.hash };
    const prepared = prepareSignedData(
      { digest: choices.digest ?? digest },
      { certificate: der, chain: [this.root.certificate.der], algorithm },
      { signingTime: new Date(now) },
    );
    const made = prepared.complete(signBytes({ ...key, algorithm }, prepared.toBeSigned));
    const pkcs7 = (choices.pkcs7 ?? indefinite)(made);
    return this.#answer(
      txn,
      choices,
      `<UserX509Certificate>${(choices.certificate ?? der).toBase64()}</UserX509Certificate>` +
        `<Signatures><DocSignature id="1" sigHashAlgorithm="SHA256">${pkcs7.toBase64()}` +
        `</DocSignature></Signatures>`,
    );
  }

  /** The person closes the ESP's page. */
  cancel(form: Record<string, string>, choices: EspChoices = {}) {
    const error = { code: "ESP-944", message: "User terminated eKYC process" };
    return this.#answer(this.#read(form).txn, choices, error);
  }

  /**
   * Its page, as a browser gets it for the form that it POSTs: buttons that bring an answer back.
   *
   * @param name who is at the browser
   */
  async page(request: Request, name: string): Promise<Response> {
    const form = Object.fromEntries(new URLSearchParams(await request.text()));
    const { root } = parseXml(new TextEncoder().encode(form.eSignRequest));
    const back = (label: string, answer: Record<string, string>) =>
      `<form method="post" action="${escapeAttribute(attribute(root, "responseUrl")!)}">` +
      Object.entries(answer).map(([name, value]) =>
        `<input type="hidden" name="${name}" value="${escapeAttribute(value)}">`
      ).join("") + `<button>${label}</button></form>`;
    const forms = back("Approve", this.approve(form, name)) +
      back("Cancel", this.cancel(form));
    return new Response(
      `<!DOCTYPE html><html lang="en"><title>ESP (TEST)</title><h1>ESP (TEST): ${name}</h1>${forms}`,
      {
        headers: { "content-type": "text/html; charset=utf-8" },
      },
    );
  }

  #read(form: Record<string, string>) {
    const bytes = new TextEncoder().encode(form.eSignRequest);
    const { root } = parseXml(bytes);
    const txn = attribute(root, "txn")!;
    const hash = descendantsNamed(root, "", "InputHash")[0];
    const digest = Uint8Array.fromHex(textOf(hash));
    const [signature] = verifyXml(bytes);
    const fits = signature?.problems.length === 0 &&
      signature.certificate!.toBase64() === this.asp.certificate.toBase64();
    const age = Math.abs(Date.parse(`${attribute(root, "ts")}+05:30`) - this.now());
    const wrong = {
      "ESP-903": attribute(root, "aspId") !== this.asp.id || form.aspTxnID !== txn,
      "ESP-911": !fits,
      "ESP-908": !(age < 60 * MINUTE),
      "ESP-910": this.#seen.has(txn),
    };
    const code = Object.entries(wrong).find(([, isWrong]) => isWrong)?.[0];
    return { txn, digest, refusal: code && { code, message: "refused" } };
  }

  #answer(
    txn: string,
    { txn: otherTxn, signer = this.party, withoutKeyInfo, xml: change }: EspChoices,
    what: string | { code: string; message: string },
  ): Record<string, string> {
    const { code, message } = typeof what === "string" ? { code: "NA", message: "NA" } : what;
    const ts = new Date(this.now() + 5.5 * 60 * MINUTE).toISOString().slice(0, 19);
    const xml = `<?xml version="1.0" encoding="UTF-8"?>` +
      `<EsignResp errCode="${code}" errMsg="${message}" resCode="1F" ` +
      `status="${typeof what === "string" ? 1 : 0}" ts="${ts}" txn="${otherTxn ?? txn}">` +
      `${typeof what === "string" ? what : ""}</EsignResp>`;
    const { certificate, key } = signer;
    const prepared = prepareXmlSignature({
      certificate: certificate.der,
      chain: [],
      algorithm: key.algorithm,
      packaging: {
        kind: "enveloped",
        document: new TextEncoder().encode(change?.(xml) ?? xml),
        single: true,
      },
    });
    const signed = new TextDecoder().decode(
      prepared.complete(signBytes(key, prepared.toBeSigned)),
    );
    return {
      eSignResponse: withoutKeyInfo ? signed.replace(/<ds:KeyInfo>.*<\/ds:KeyInfo>/s, "") : signed,
    };
  }
}

/**
 * The outer structures with indefinite lengths, as streaming writers make them, and without content; what is signed stays
 * as it is.
 *
 * @param change of the SignedData's fields
 */
export function indefinite(
  cms: Uint8Array,
  change: (fields: Uint8Array[]) => void = () => {},
): Uint8Array {
  const info = readAsn1(cms, { ber: true });
  const [type, explicit] = info.children;
  const [signedData] = explicit!.children;
  const open = (tag: number, ...content: Uint8Array[]) =>
    concat(Uint8Array.of(tag, 0x80), ...content, Uint8Array.of(0, 0));
  const [version, hashes, content, ...rest] = signedData!.children;
  const bare = open(0x30, content!.children[0]!.bytes);
  const fields = [version!.bytes, hashes!.bytes, bare, ...rest.map(({ bytes }) => bytes)];
  change(fields);
  return open(0x30, type!.bytes, open(0xa0, open(0x30, ...fields)));
}
