/** `dsign sign` and `dsign verify` on PDFs, against SoftHSM; poppler judges the results. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../tasks/build.ts";
import { PIN } from "./fakes/pkcs11_tokens.ts";
import { dsign, dsignAtTerminal, environment, type Step } from "./fixtures/cli.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { pdfsig, run } from "./fixtures/pdf_tools.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makePki } from "./fixtures/pki.ts";

// The fonts of visible signatures, and pdf.js.
await build();

const typePin: Step = [/PIN to sign[^:]*: /, `${PIN}\r`];

interface Desk {
  path(name: string): string;
  env: Record<string, string>;
  /** Which officer signs. */
  as(index: number): string[];
}

const atDesk = (use: (desk: Desk) => Promise<void>) => () =>
  inTempDir(async (dir) => {
    const { officers, root } = makePki({
      officers: [{ name: "Anita" }, { name: "Bikram", key: "p-256" }],
    });
    const hsm = await officerTokens(dir, officers);
    const path = (name: string) => join(dir, name);
    await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root.certificate.der));
    await Deno.writeFile(
      path("order.pdf"),
      classicPdf(documentObjects({ signatureFields: ["Here"] })),
    );
    await Deno.mkdir(path("config/dsign"), { recursive: true });
    await Deno.writeTextFile(
      path("config/dsign/config.json"),
      JSON.stringify({ searchModules: false, modules: [{ path: hsm.modulePath }] }),
    );
    await use({
      path,
      env: environment(dir, hsm.env),
      as: (index) => ["--certificate", officers[index].certificate.fingerprint],
    });
  });

Deno.test(
  "a signature is placed at an anchor text, and a missing text is reported before the PIN is asked for",
  atDesk(async ({ path, env, as }) => {
    const shown = ["--language", "bn", "--reason", "Checked", "--qr", "https://treasury.example/7"];
    const picture = fileURLToPath(new URL("../docs/images/portal.png", import.meta.url));
    const to = (text: string, steps: Step[]) =>
      dsignAtTerminal(
        [
          ...["sign", ...as(0), "--anchor", text, ...shown, "--picture", picture],
          path("order.pdf"),
        ],
        env,
        steps,
      );
    const lost = await to("Executive Engineer", []);
    assert.notEqual(lost.code, 0);
    assert.match(lost.stderr, /has no text “Executive Engineer”/);
    const signed = await to("page 1", [typePin]);
    assert.equal(signed.code, 0, signed.stderr);
    const area = ["-x", "72", "-y", "125", "-W", "200", "-H", "65"];
    const { text } = await run("pdftotext", ...area, path("order-signed.pdf"), "-");
    assert.match(text, /Anita/);
    assert.match(text, /কারণ: Checked/);
    assert.match((await run("pdfimages", "-list", path("order-signed.pdf"))).text, /image/);
  }),
);

Deno.test(
  "a PDF is signed and verified with two officers, fields, reasons, a certification and a lock",
  atDesk(async ({ path, env, as }) => {
    const first = await dsignAtTerminal(
      [
        ...["sign", ...as(0), "--reason", "Sanctioned", "--location", "Kolkata", "--certify", "2"],
        ...["--visible", "1,300,700,200,60", "--role", "Engineer", "--json", path("order.pdf")],
      ],
      env,
      [typePin],
    );
    assert.equal(first.code, 0, first.stderr);
    const output = path("order-signed.pdf");
    const [told] = JSON.parse(first.stdout).signed;
    assert.deepEqual([told.output, told.algorithm], [output, "RS256"]);
    const original = await Deno.readFile(path("order.pdf"));
    const signed = await Deno.readFile(output);
    assert.deepEqual(signed.subarray(0, original.length), original);
    assert.match((await run("pdftotext", output, "-")).text, /Engineer/);

    const second = await dsignAtTerminal(
      [
        ...["sign", ...as(1), "--field", "Here", "--lock", "--output", path("both.pdf"), output],
      ],
      env,
      [typePin],
    );
    assert.equal(second.code, 0, second.stderr);
    // In the order of the fields, in which "Here" was first.
    assert.deepEqual(
      (await pdfsig(path("both.pdf"))).map(({ valid, total }) => [valid, total]),
      [[true, true], [true, false]],
    );

    const rule = ["--revocation", "if-available", "--trust", path("root.pem")];
    const args = ["verify", path("both.pdf"), ...rule];
    const verified = JSON.parse((await dsign([...args, "--json"], env)).stdout);
    assert.equal(verified.ok, true);
    assert.deepEqual(
      verified.files[0].signatures.map((each: Record<string, unknown>) => ({
        id: each.id,
        who: (each.signer as { commonName: string }).commonName,
        indication: each.indication,
        level: each.level,
        reason: each.reason,
        changes: each.changes,
      })),
      [{
        id: "Signature1",
        who: "Anita",
        indication: "TOTAL-PASSED",
        level: "B-B",
        reason: "Sanctioned",
        changes: [{ kind: "signature", name: "Here", allowed: true }],
      }, {
        id: "Here",
        who: "Bikram",
        indication: "TOTAL-PASSED",
        level: "B-B",
        reason: null,
        changes: [],
      }],
    );

    const page = path("both.html");
    const extracted = await dsign([...args, "--extract", path("versions"), "--report", page], env);
    for (const number of [2, 3]) {
      assert.ok(
        (await Deno.readTextFile(page)).includes(`revision ${number} of 3 of the document`),
      );
    }
    assert.match(extracted.stdout, /covers +revision 2 of 3; later: signature Here/);
    assert.match(extracted.stdout, /covers +revision 3 of 3\n/);
    for (const [name, from] of [["2", "order-signed.pdf"], ["3", "both.pdf"]]) {
      assert.deepEqual(
        await Deno.readFile(path(`versions/both-revision-${name}.pdf`)),
        await Deno.readFile(path(from)),
      );
    }
    const again = await dsign([...args, "--extract", path("versions")], env);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /already exists/);

    const locked = await dsign(
      ["sign", "--json", "--output", path("x.pdf"), path("both.pdf")],
      env,
    );
    assert.equal(JSON.parse(locked.stdout).error.code, "document_locked", locked.stdout);
    const forged = await Deno.readFile(path("both.pdf"));
    forged[new TextDecoder("latin1").decode(forged).indexOf("(Page 1)") + 1] ^= 1;
    await Deno.writeFile(path("forged.pdf"), forged);
    const judged = await dsign(["verify", path("forged.pdf"), "--json", ...rule], env);
    assert.equal(judged.code, 1);
    assert.equal(JSON.parse(judged.stdout).files[0].indication, "TOTAL-FAILED");
  }),
);

Deno.test(
  "a PDF gets CAdES beside it on request, wrong use and encrypted PDFs are refused, and nothing is replaced",
  atDesk(async ({ path, env, as }) => {
    const beside = await dsignAtTerminal(
      ["sign", ...as(0), "--detached", path("order.pdf")],
      env,
      [typePin],
    );
    assert.equal(beside.code, 0, beside.stderr);
    assert.ok((await Deno.stat(path("order.pdf.p7s"))).isFile);

    await Deno.writeTextFile(path("note.txt"), "note");
    for (
      const args of [
        ["--reason", "x", path("note.txt")],
        ["--format", "pades", "--detached", path("order.pdf")],
        ["--visible", "0", path("order.pdf")],
        ["--visible", "1,2,3", path("order.pdf")],
        ["--level", "B-X", path("order.pdf")],
        ["--role", "x", path("order.pdf")],
        ["--anchor", "x", "--visible", "1,10,10,200,60", path("order.pdf")],
        ["--anchor", "x", path("note.txt")],
        ["--language", "bn", path("order.pdf")],
        ["--visible", "1", "--language", "fr", path("order.pdf")],
        ["--qr", "x", path("note.txt")],
        ["--certify", "4", path("order.pdf")],
      ]
    ) assert.equal((await dsign(["sign", ...args], env)).code, 2, args.join(" "));

    await run(
      "qpdf",
      "--encrypt",
      "open",
      "own",
      "256",
      "--",
      path("order.pdf"),
      path("secret.pdf"),
    );
    const closed = await dsign(["sign", "--json", path("secret.pdf")], env);
    assert.equal(JSON.parse(closed.stdout).error.code, "document_encrypted");
    await Deno.writeTextFile(path("password"), "open\n");
    const password = ["--password-file", path("password")];
    const opened = await dsignAtTerminal(
      ["sign", ...as(0), ...password, path("secret.pdf")],
      env,
      [typePin],
    );
    assert.equal(opened.code, 0, opened.stderr);
    const seen = await pdfsig(path("secret-signed.pdf"), "open");
    assert.equal(seen.filter(({ valid, total }) => valid && total).length, 1);
    const rule = ["--revocation", "if-available", "--trust", path("root.pem")];
    const verified = await dsign(["verify", path("secret-signed.pdf"), ...password, ...rule], env);
    assert.equal(verified.code, 0, verified.stdout);

    // The author permits no changes: dsign says so, and --force overrides it.
    const permitted = ["--encrypt", "", "own", "256", "--modify=none", "--"];
    await run("qpdf", ...permitted, path("order.pdf"), path("fixed.pdf"));
    const unpermitted = await dsign(["sign", "--json", path("fixed.pdf")], env);
    assert.equal(JSON.parse(unpermitted.stdout).error.code, "document_locked");
    assert.match(unpermitted.stdout, /--force/);
    const forced = await dsignAtTerminal(
      ["sign", ...as(0), "--force", path("fixed.pdf")],
      env,
      [typePin],
    );
    assert.equal(forced.code, 0, forced.stderr);

    const there = await dsign(["sign", path("secret.pdf")], env);
    assert.equal(there.code, 1);
    assert.match(there.stderr, /already exists/);
    const stamped = await dsign(
      ["sign", "--json", "--level", "B-T", ...as(0), path("order.pdf")],
      env,
    );
    assert.match(stamped.stdout, /consent_unavailable|timestamp_unavailable/);
  }),
);

Deno.test(
  "a folder is signed with one PIN, failures are reported, and a second run signs only the rest",
  atDesk(async ({ path, env, as }) => {
    await Deno.mkdir(path("in"));
    for (let i = 0; i < 12; i++) {
      const pdf = classicPdf(documentObjects({ catalogEntries: `/Bill (${i})` }));
      await Deno.writeFile(path(`in/bill-${i}.pdf`), pdf);
    }
    await Deno.writeTextFile(path("in/broken.pdf"), "no PDF");
    await Deno.writeTextFile(path("in/other.txt"), "");
    const args = ["sign", "--batch", ...as(0), "--json", "--reason", "November"];
    const first = await dsignAtTerminal([...args, "--output", path("out"), path("in")], env, [
      typePin,
    ]);
    assert.equal(first.code, 1, first.stderr);
    assert.match(first.stderr, /asks for 13 signatures/);
    const told = JSON.parse(first.stdout);
    assert.deepEqual([told.signed.length, told.failed.length, told.left], [12, 1, 0]);
    assert.equal(told.failed[0].error.code, "document_malformed");
    for (const { output } of told.signed) {
      assert.deepEqual((await pdfsig(output)).map(({ valid, total }) => [valid, total]), [[
        true,
        true,
      ]]);
    }

    await Deno.remove(path("in/broken.pdf"));
    const again = await dsign([...args, "--output", path("out"), path("in")], env);
    assert.deepEqual([again.code, JSON.parse(again.stdout).before], [0, 12]);

    // After an interruption it continues. Signatures that were not yet written come from the journal.
    const begun = await dsignAtTerminal([...args, path("in")], env, [
      [/PIN to sign[^:]*: /, `${PIN}\r`],
      [/./, (pid) =>
        setTimeout(() => {
          try {
            Deno.kill(pid, "SIGKILL");
          } catch (error) {
            if (!(error instanceof Deno.errors.NotFound)) throw error;
            // All were signed by then.
          }
        }, 10)],
    ]).catch((error) => error);
    assert.ok(begun);
    const rest = await dsignAtTerminal([...args, path("in")], env, [typePin]);
    assert.equal(rest.code, 0, rest.stderr + rest.stdout);
    const names = Array.from(Deno.readDirSync(path("in")), ({ name }) => name);
    assert.equal(names.filter((name) => name.endsWith("-signed.pdf")).length, 12);
    assert.deepEqual([...Deno.readDirSync(path("state/dsign/batches"))], []);

    await Deno.writeTextFile(path("in/bill-3-signed.pdf"), "something else");
    const refused = await dsign([...args, path("in")], env);
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /already exists/);
    for (const wrong of [["--hash", "SHA-512"], ["--detached"], [path("out")]]) {
      assert.equal((await dsign([...args, ...wrong, path("in")], env)).code, 2, wrong.join());
    }
  }),
);
