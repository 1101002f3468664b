/**
 * Signatures that last, by the real command: timestamps by `openssl ts`, OCSP answers by `openssl ocsp`, revocation
 * lists by `openssl ca`, keys in SoftHSM; poppler judges the results.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { bytesSource } from "../formats/source.ts";
import { verifyPdf } from "../formats/pades/verify.ts";
import { readDss } from "../formats/pades/dss_read.ts";
import { PdfDocument } from "../formats/pdf/document.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { readMaterial } from "../formats/verify/material.ts";
import type { SignatureReport } from "../formats/verify/report.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { type PkiServices, startPkiServices } from "./fakes/pki_services.ts";
import { PIN } from "./fakes/pkcs11_tokens.ts";
import { dsign, dsignAtTerminal, environment } from "./fixtures/cli.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { type Finished, inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pdfsig } from "./fixtures/pdf_tools.ts";
import { makeCrl } from "./fixtures/issue.ts";
import { pem } from "../formats/asn1/pem.ts";
import { python } from "./fixtures/python.ts";

const DAY = 24 * 3600 * 1000;

interface Desk {
  services: PkiServices;
  env: Record<string, string>;
  path(name: string): string;
  /** Signs `order.pdf` or a later state of it. */
  sign(officer: number, level: string, from: string, to: string): Promise<Finished>;
  configure(settings: Record<string, unknown>): Promise<void>;
}

/** Validates each signature by what the file holds, without network; prints one verdict a line (EN 319 102-1 §5.6.3). */
const PYHANKO = `
import asyncio, sys
from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec, RevinfoOnlineFetchingRule, RevocationInfoGatheringSpec,
    SignatureValidationSpec)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

root, path = sys.argv[1:]
spec = PdfSignatureValidationSpec(SignatureValidationSpec(
    CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build([load_cert_from_pemder(root)]),
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO)),
    RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY)))

async def main():
    with open(path, "rb") as file:
        for signature in PdfFileReader(file).embedded_regular_signatures:
            print((await ades_lta_validation(signature, spec)).ades_subindic)

asyncio.run(main())
`;

const atDesk = (use: (desk: Desk, t: Deno.TestContext) => Promise<void>) => (t: Deno.TestContext) =>
  inTempDir(async (dir) => {
    await using services = await startPkiServices({
      officers: [{ name: "Anita" }, { name: "Bikram", key: "p-256" }, { name: "Chandra" }],
    });
    const { officers, root } = services.pki;
    const hsm = await officerTokens(dir, officers);
    const path = (name: string) => join(dir, name);
    const env = environment(dir, hsm.env);
    await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root.certificate.der));
    await Deno.writeFile(path("order.pdf"), classicPdf(documentObjects()));
    await Deno.mkdir(path("config/dsign"), { recursive: true });
    const configure = (settings: Record<string, unknown>) =>
      Deno.writeTextFile(
        path("config/dsign/config.json"),
        JSON.stringify({
          searchModules: false,
          modules: [{ path: hsm.modulePath }],
          timestampAuthority: `${services.url}/tsa`,
          intranetServices: true,
          ...settings,
        }),
      );
    await configure({});
    const sign = (officer: number, level: string, from: string, to: string) =>
      dsignAtTerminal(
        [
          ...["sign", "--json", "--level", level, "--output", path(to)],
          ...["--certificate", officers[officer].certificate.fingerprint, path(from)],
        ],
        env,
        [[/PIN to sign[^:]*: /, `${PIN}\r`]],
      );
    await use({ services, env, path, sign, configure }, t);
  });

Deno.test(
  "three officers' signatures at each level are valid without network and after the certificates expired",
  atDesk(async ({ services: { pki, requests }, env, path, sign }, t) => {
    const steps = [[0, "B-B"], [1, "B-T"], [2, "B-LT"], [0, "B-LTA"]] as const;
    const files = ["order.pdf", "1.pdf", "2.pdf", "3.pdf", "4.pdf"];
    for (const [i, [officer, level]] of steps.entries()) {
      const { code, stdout, stderr } = await sign(officer, level, files[i], files[i + 1]);
      assert.equal(code, 0, stdout + stderr);
      const before = await Deno.readFile(path(files[i]));
      const after = await Deno.readFile(path(files[i + 1]));
      assert.deepEqual(after.subarray(0, before.length), before);
      const made = verifyPdf(bytesSource(after)).signatures.map((each) => each.level);
      assert.ok(made.includes(level), made.join());
    }
    const asked = (name: string) => requests.filter((each) => each === name).length;
    assert.deepEqual([asked("POST /tsa"), asked("POST /ocsp")], [4, 2]);

    const last = path("4.pdf");
    const poppler = await pdfsig(last);
    assert.deepEqual(poppler.slice(0, 4).map(({ valid }) => valid), [true, true, true, true]);
    const signed = await Deno.readFile(last);
    const dss = readDss(PdfDocument.open(bytesSource(signed)));
    const { root, ca, subCa, timestampAuthority, officers: [anita, , chandra] } = pki;
    const stored = new Set(dss.certificates.map((der) => readCertificate(der).fingerprint));
    for (const { certificate } of [root, ca, subCa, timestampAuthority, anita, chandra]) {
      assert.ok(stored.has(certificate.fingerprint), certificate.subject.toString());
    }
    assert.ok(dss.crls.length >= 3 && dss.ocsps.length >= 2);

    requests.length = 0;
    const verified = await dsign(["verify", "--json", last, "--trust", path("root.pem")], env);
    assert.equal(verified.code, 0, verified.stdout);
    const told = (signatures: SignatureReport[]) =>
      signatures.filter(({ kind }) => kind === "signature")
        .map(({ signer, indication, level }) => [signer?.commonName, indication, level]);
    // The document timestamp and the evidence before it serve all signatures (EN 319 142-1 §6.3).
    const expected = ["Anita", "Bikram", "Chandra", "Anita"]
      .map((name) => [name, "TOTAL-PASSED", "B-LTA"]);
    assert.deepEqual(told(JSON.parse(verified.stdout).files[0].signatures), expected);
    assert.deepEqual(requests, []);

    // The officers' certificates have expired by then, the timestamp authority's has not: of that one alone there must
    // be newer word, as `--online` would bring it.
    const now = new Date(anita.certificate.notAfter.getTime() + DAY);
    const crls = [root, ca, subCa].map((authority) => makeCrl(authority, [], { now }));
    const anchors = [root.certificate];
    const later = verifyBytes(signed, { now, anchors, material: readMaterial({ crls }) });
    assert.deepEqual(told(later.signatures), expected);
    assert.equal(later.indication, "TOTAL-PASSED");
    const alone = verifyBytes(signed, { now, anchors });
    assert.equal(alone.indication, "INDETERMINATE");

    await t.step({
      name: "pyHanko agrees (optional: needs pyHanko; DSIGN_TEST_PYTHON names the Python)",
      ignore: (await python("-c", "import pyhanko.sign.validation.ades")).code !== 0,
      async fn() {
        const { code, stdout, stderr } = await python("-c", PYHANKO, path("root.pem"), last);
        assert.equal(code, 0, stderr);
        // It wants a timestamp of each signature's own, which the first has not.
        assert.match(stdout, /^.*SIG_CONSTRAINTS_FAILURE\n(AdESPassed\.OK\n){3}$/, stderr);
      },
    });
  }),
);

Deno.test(
  "a revoked certificate, a missing timestamp or a forbidden private service is reported, and nothing is written",
  atDesk(async ({ services, path, sign, configure }) => {
    const refused = async (officer: number, level: string, code: string) => {
      const { stdout, stderr } = await sign(officer, level, "order.pdf", "no.pdf");
      assert.equal(JSON.parse(stdout).error?.code, code, stdout + stderr);
      const left = [...Deno.readDirSync(path("."))].filter(({ name }) => name.includes("no.pdf"));
      assert.deepEqual(left, []);
    };
    await services.revoke("Anita", new Date(Date.now() - DAY));
    await refused(0, "B-LT", "certificate_revoked");

    await configure({ timestampAuthority: `${services.url}/nowhere` });
    await refused(1, "B-T", "timestamp_unavailable");

    services.requests.length = 0;
    await configure({ intranetServices: false });
    await refused(1, "B-LT", "validation_data_unavailable");
    assert.deepEqual(services.requests, ["POST /tsa"]);
  }),
);
