/** `dsign verify` as people use it: all formats, the report, the authorities' services. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { digest } from "../formats/digest.ts";
import type { VerificationReport } from "../formats/verify/report.ts";
import { startPkiServices } from "./fakes/pki_services.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pem } from "../formats/asn1/pem.ts";
import { signPdf } from "./fixtures/sign_pdf.ts";
import {
  cosignCms,
  makeRoute,
  signCms,
  signJws,
  signRoute,
  signXml,
  timestampCms,
} from "./fixtures/signed_files.ts";
import { REPORT_WORDS } from "../words/report.ts";

const HOSTILE = '</style><script>alert(1)</script>"\u202egnp.exe';

Deno.test("every format is verified against the authorities' services, with a report in each language", () =>
  inTempDir(async (dir) => {
    await using services = await startPkiServices({
      officers: [{ name: "Asha", key: "p-256" }, { name: HOSTILE, key: "p-256" }],
    });
    const { pki } = services;
    const [asha, hostile] = pki.officers;
    const env = environment(dir);
    const path = (name: string) => join(dir, name);
    await Deno.mkdir(path("config/dsign/trust"), { recursive: true });
    await Deno.writeTextFile(
      path("config/dsign/trust/root.crt"),
      pem("CERTIFICATE", pki.root.certificate.der),
    );
    await Deno.writeTextFile(path("config/dsign/config.json"), '{"intranetServices":true}');

    const content = new TextEncoder().encode('{"amount":"1200.00","bill":7}');
    const detached = { digest: digest("SHA-256", content) };
    const order = new TextEncoder().encode("<order/>");
    const route = signRoute(asha, makeRoute([asha], content), content);
    const files: Record<string, Uint8Array | string> = {
      "bill.json": content,
      "bill.json.p7s": timestampCms(
        pki,
        cosignCms(hostile, signCms(asha, detached), detached),
        new Date(),
      ),
      "bill.jws": signJws(asha, { payload: content }),
      "order.xml": signXml(hostile, { kind: "enveloped", document: order }),
      "order.pdf": signPdf(classicPdf(documentObjects()), asha),
      "bill.route": route,
    };
    for (const [name, bytes] of Object.entries(files)) {
      await (typeof bytes === "string"
        ? Deno.writeTextFile(path(name), bytes)
        : Deno.writeFile(path(name), bytes));
    }
    const signed = Object.keys(files).filter((name) => name !== "bill.json").map(path);

    const offline = await dsign(["verify", "--json", ...signed], env);
    assert.equal(offline.code, 1, offline.stderr);
    for (const { indication } of JSON.parse(offline.stdout).files) {
      assert.equal(indication, "INDETERMINATE"); // revocation is not known
    }
    assert.equal(services.requests.length, 0);

    for (const language of ["en", "bn", "hi"] as const) {
      const page = path(`${language}.html`);
      const args = ["verify", "--online", "--json", "--report", page, "--language", language];
      const { code, stdout, stderr } = await dsign([...args, ...signed], env);
      assert.equal(code, 0, stdout + stderr);
      const reports: (VerificationReport & { file: string })[] = JSON.parse(stdout).files;
      assert.deepEqual(reports.map(({ format }) => format), ["cms", "jws", "xml", "pdf", "route"]);
      assert.equal(reports[0].signatures[0].level, "B-T");
      const html = await Deno.readTextFile(page);
      assert.ok(html.includes(`<html lang="${language}">`));
      assert.ok(!/<script|\u202e|undefined|\{\w+\}<|https?:|src=|url\(/.test(html));
      assert.ok(html.includes("&lt;script&gt;alert(1)"));
      assert.ok(html.includes(REPORT_WORDS[language].limits), "what was not checked");
    }
    // Options of one value each leave the file that follows alone; content that nothing signs is not passed over.
    const trust = ["--trust", path("config/dsign/trust"), "--trust", path("root.crt")];
    await Deno.copyFile(path("config/dsign/trust/root.crt"), path("root.crt"));
    for (const name of ["order.xml", "order.pdf"]) {
      const args = ["verify", "--online", ...trust, path(name)];
      const alone = await dsign(args, env);
      assert.equal(alone.code, 0);
      assert.match(alone.stdout, /^Not checked: signature policies, attribute certificates, /m);
      const { code, stderr } = await dsign([...args, "--content", path("bill.json")], env);
      assert.match(stderr, /order\.\w+ holds what its signatures sign: leave --content out/);
      assert.equal(code, 2);
    }
    for (
      const [text, words] of [
        ['{"route":"Howrah","fare":10}', /The file is no signing route/],
        ['{"fare":10,"route":"Howrah"}', /neither a JWS .* nor a signing route/],
      ] as const
    ) {
      await Deno.writeTextFile(path("odd.route"), text);
      const { code, stdout, stderr } = await dsign(["verify", path("odd.route")], env);
      assert.match(stdout + stderr, words);
      assert.equal(code, 1);
    }

    const there = await dsign(["verify", signed[0], "--report", path("en.html")], env);
    assert.match(there.stderr, /already exists/);

    await services.revoke("Asha", new Date(Date.now() - 24 * 3600 * 1000));
    const revoked = await dsign(["verify", "--online", path("order.pdf")], env);
    assert.equal(revoked.code, 1);
    assert.match(revoked.stdout, /REVOKED_NO_POE[\s\S]*REVOKED since/);
  }));

Deno.test("the name of a detached file cannot lead out of the folder", () =>
  inTempDir(async (dir) => {
    await using services = await startPkiServices({ officers: [{ name: "Asha", key: "p-256" }] });
    const [asha] = services.pki.officers;
    const secret = new TextEncoder().encode("secret");
    await Deno.mkdir(join(dir, "inner"));
    await Deno.writeFile(join(dir, "secret"), secret);
    const uris = ["../secret", join(dir, "secret"), "..", `file://${dir}/secret`, "..\\secret"];
    for (const uri of uris) {
      const packaging = {
        kind: "detached",
        files: [{ uri, digest: digest("SHA-256", secret), mediaType: "text/plain" }],
      } as const;
      const file = join(dir, "inner", "a.xml");
      await Deno.writeFile(file, signXml(asha, packaging));
      const { stdout } = await dsign(["verify", "--json", file], environment(dir));
      const [report] = JSON.parse(stdout).files;
      assert.equal(report.signatures[0].subIndication, "SIGNED_DATA_NOT_FOUND", uri);
    }
  }));
