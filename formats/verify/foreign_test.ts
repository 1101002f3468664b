/** The verifier on signatures that other programs made, and other programs on ours. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import { startPkiServices } from "../../tests/fakes/pki_services.ts";
import { makeCrl } from "../../tests/fixtures/issue.ts";
import { pem } from "../asn1/pem.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import {
  archiveCms,
  authorities,
  cosignCms,
  extendCms,
  signCms,
  timestampCms,
} from "../../tests/fixtures/signed_files.ts";
import { addUnsignedAttributes, encodeAttribute } from "../cms/add.ts";
import { readSignedData } from "../cms/read.ts";
import { digest } from "../digest.ts";
import { Oid } from "../asn1/oids.ts";
import { readTimestampResponse } from "../cms/timestamp.ts";
import { encodeTimestampRequest } from "../cms/timestamp_request.ts";
import { verifyBytes } from "./verify.ts";
import { readMaterial } from "./material.ts";

const content = new TextEncoder().encode("Pay 1200.00 to the treasury\r\n");
const given = () => ({ digest: (hash: Parameters<typeof digest>[0]) => digest(hash, content) });

Deno.test("every kind of OpenSSL's CMS passes: attached, detached, BER, PSS, without attributes, several signers", () =>
  inTempDir(async (dir) => {
    const path = (name: string) => join(dir, name);
    const pki = makePki({ officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }] });
    const write = (name: string, text: string) => Deno.writeTextFile(path(name), text);
    for (const { name, certificate, pkcs8 } of pki.officers) {
      await write(`${name}.crt`, pem("CERTIFICATE", certificate.der));
      await write(`${name}.key`, pem("PRIVATE KEY", pkcs8));
    }
    await Deno.writeFile(path("content"), content);
    const options = {
      now: new Date(),
      anchors: [pki.root.certificate],
      material: readMaterial({
        certificates: authorities(pki).map(({ certificate }) => certificate.der),
        crls: authorities(pki).map((each) => makeCrl(each, [])),
      }),
      content: given,
    };
    const by = (name: string) => ["-signer", path(`${name}.crt`), "-inkey", path(`${name}.key`)];
    const pss = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"];
    const cases: [string[], (string | null)[]][] = [
      [[...by("Asha")], [null]],
      [[...by("Asha"), "-cades"], ["B-B"]],
      [[...by("Bimal"), "-cades", "-nodetach"], ["B-B"]],
      [[...by("Asha"), "-cades", "-nodetach", "-stream"], ["B-B"]],
      [[...by("Asha"), ...pss, "-cades", "-md", "sha384"], ["B-B"]],
      [[...by("Asha"), "-noattr"], [null]],
      [[...by("Asha"), ...by("Bimal"), "-cades"], ["B-B", "B-B"]],
    ];
    for (const [args, levels] of cases) {
      const made = await openssl([
        ...["cms", "-sign", "-binary", "-outform", "DER", "-in", path("content"), ...args],
      ]);
      const report = verifyBytes(made, options);
      const name = args.filter((each) => !each.startsWith(dir)).join(" ");
      assert.equal(report.indication, "TOTAL-PASSED", `${name} ${JSON.stringify(report)}`);
      assert.deepEqual(report.signatures.map(({ level }) => level), levels, name);
    }
  }));

Deno.test("timestamps of `openssl ts` pass, and OpenSSL accepts ours at every level", () =>
  inTempDir(async (dir) => {
    await using services = await startPkiServices({
      officers: [{ name: "Asha" }, { name: "Bimal" }],
    });
    const { pki } = services;
    const [asha, bimal] = pki.officers;
    const now = new Date();
    const options = {
      now: new Date(now.getTime() + 2000),
      anchors: [pki.root.certificate],
      material: readMaterial({ crls: authorities(pki).map((each) => makeCrl(each, [])) }),
    };
    const signed = signCms(asha, { content });
    const [{ signature }] = readSignedData(signed).signers;
    const request = encodeTimestampRequest({
      hash: "SHA-256",
      digest: digest("SHA-256", signature),
    });
    const answer = await fetch(`${services.url}/tsa`, {
      method: "POST",
      body: request as Uint8Array<ArrayBuffer>,
    });
    const token = readTimestampResponse(await answer.bytes());
    const stamped = addUnsignedAttributes(signed, [0], [
      encodeAttribute(Oid.signatureTimestamp, token),
    ]);
    const [{ level, timestamps }] = verifyBytes(stamped, options).signatures;
    assert.deepEqual([level, timestamps[0].indication], ["B-T", "TOTAL-PASSED"]);

    const root = join(dir, "root.pem");
    await Deno.writeTextFile(root, pem("CERTIFICATE", pki.root.certificate.der));
    const extended = extendCms(pki, timestampCms(pki, signed, now), now);
    for (
      const each of [stamped, extended, archiveCms(pki, extended, now), cosignCms(bimal, extended)]
    ) {
      const file = join(dir, "signed");
      await Deno.writeFile(file, each);
      const out = await openssl([
        ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", file],
        ...["-CAfile", root, "-purpose", "any"],
      ]);
      assert.deepEqual(out, content);
    }
  }));
