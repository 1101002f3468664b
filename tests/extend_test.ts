/** `dsign extend` by the real command: timestamps by `openssl ts`, OCSP by `openssl ocsp`, lists by `openssl ca`. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { digest } from "../formats/digest.ts";
import { startPkiServices } from "./fakes/pki_services.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { signPdf } from "./fixtures/sign_pdf.ts";
import { signCms, signJws, signXml } from "./fixtures/signed_files.ts";
import { answerTimestampRequest } from "./fixtures/tsa.ts";

const utf8 = new TextEncoder();

Deno.test("signatures of every format are raised to B-LTA and renewed; what fails leaves the file as it was", () =>
  inTempDir(async (dir) => {
    await using services = await startPkiServices({ officers: [{ name: "Anita" }] });
    const { officers: [anita], root } = services.pki;
    const path = (name: string) => join(dir, name);
    const env = environment(dir);
    await Deno.mkdir(path("config/dsign/trust"), { recursive: true });
    await Deno.writeTextFile(
      path("config/dsign/trust/root.pem"),
      pem("CERTIFICATE", root.certificate.der),
    );
    const configure = (timestampAuthority: string) =>
      Deno.writeTextFile(
        path("config/dsign/config.json"),
        JSON.stringify({ timestampAuthority, intranetServices: true }),
      );
    const content = utf8.encode("Pay 1200.00\n");
    const order = utf8.encode("<order><amount>7</amount></order>");
    const files: Record<string, Uint8Array> = {
      "order.pdf": signPdf(classicPdf(documentObjects()), anita),
      "order.p7m": signCms(anita, { content }),
      "note.txt.p7s": signCms(anita, { digest: digest("SHA-256", content) }),
      "order.xml": signXml(anita, { kind: "enveloped", document: order }),
      "order.json": utf8.encode(signJws(anita, { payload: content })),
    };
    const archive = path("archive");
    await Deno.mkdir(archive);
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(join(archive, name), bytes);
    }
    await Deno.writeFile(join(archive, "note.txt"), content);
    const names = Object.keys(files).map((name) => join(archive, name));
    const levels = async () => {
      const { stdout, code } = await dsign(["verify", "--json", ...names], env);
      assert.equal(code, 0, stdout);
      return JSON.parse(stdout).files.map(({ signatures }: { signatures: { level: string }[] }) =>
        signatures[0].level
      );
    };
    const extend = async (...args: string[]) => {
      const { code, stdout, stderr } = await dsign(["extend", "--json", ...args], env);
      return { code, ...JSON.parse(stdout), stderr };
    };

    // The service gives no answer, or one about something else, or stops in the middle of it, or is gone: nothing is lost.
    const mode = (name: string) => Deno.statSync(name).mode! & 0o777;
    await Deno.chmod(names[0], 0o640);
    const token = (request: Uint8Array) => {
      const choices = { imprint: digest("SHA-256", utf8.encode("something else")) };
      return answerTimestampRequest(services.pki.timestampAuthority, request, choices);
    };
    const unhelpful = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async (request) =>
        new URL(request.url).pathname === "/other"
          ? new Response(new Uint8Array(token(await request.bytes())))
          : new Response(Uint8Array.of(0x30, 0x82, 0x10, 0x00)),
    );
    const at = `http://127.0.0.1:${unhelpful.addr.port}`;
    for (const url of [`${services.url}/nowhere`, `${at}/other`, `${at}/cut`, "gone"]) {
      if (url === "gone") await unhelpful.shutdown();
      await configure(url === "gone" ? at : url);
      const failed = await extend("--level", "B-T", ...names);
      assert.deepEqual([failed.code, failed.error.code], [1, "timestamp_unavailable"], url);
      for (const [name, bytes] of Object.entries(files)) {
        assert.deepEqual(await Deno.readFile(join(archive, name)), bytes);
      }
    }

    await configure(`${services.url}/tsa`);
    const due = await extend("--due", "2y", archive);
    assert.deepEqual(due.due.map(({ file }: { file: string }) => file), names.toSorted());
    const one = await extend("--due", "2y", "--level", "B-LTA", archive);
    assert.equal(one.code, 0, JSON.stringify(one));
    assert.deepEqual(await levels(), ["B-LTA", "B-LTA", "B-LTA", "B-LTA", "B-LTA"]);
    assert.equal(mode(names[0]), 0o640);
    const pdf = await Deno.readFile(names[0]);
    assert.deepEqual(pdf.subarray(0, files["order.pdf"].length), files["order.pdf"]);
    assert.equal((await extend("--due", "30d", archive)).due.length, 0);
    await Deno.symlink(names[0], path("link.pdf"));
    const again = await extend("--level", "B-LTA", path("link.pdf"), ...names.slice(1));
    assert.ok(Deno.lstatSync(path("link.pdf")).isSymlink);
    assert.equal(again.code, 0, JSON.stringify(again));
    assert.deepEqual(await levels(), ["B-LTA", "B-LTA", "B-LTA", "B-LTA", "B-LTA"]);
    const after = await Deno.readTextFile(names[3]);
    assert.equal(after.split("<a:ArchiveTimeStamp").length, 3);

    // A signature that does not hold is not made to last.
    const broken = join(archive, "broken.xml");
    await Deno.writeTextFile(broken, after.replace("<amount>7", "<amount>8"));
    const refused = await extend("--level", "B-LTA", broken);
    assert.deepEqual([refused.code, refused.error.code], [1, "signature_mismatch"]);
    // Nor does it keep others from being renewed, nor does what is no file.
    const all = await extend("--level", "B-LTA", broken, path("gone.pdf"), names[4]);
    assert.equal(all.code, 1);
    const told = all.failed.map(({ file, message }: { file: string; message: string }) => [
      file,
      message.split(".")[0],
    ]);
    const mismatch = [broken, "Signature dsign-1 does not hold"];
    assert.deepEqual(told, [mismatch, [path("gone.pdf"), "no such file"]]);
    assert.deepEqual(all.extended.map(({ file }: { file: string }) => file), [names[4]]);

    // What somebody writes while the authority is asked stays.
    const meddling = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async (request) => {
        await Deno.writeFile(names[2], files["note.txt.p7s"]);
        return await fetch(`${services.url}/tsa`, { method: "POST", body: await request.bytes() });
      },
    );
    await configure(`http://127.0.0.1:${meddling.addr.port}/`);
    const late = await extend("--level", "B-LTA", names[2]);
    await meddling.shutdown();
    assert.deepEqual([late.code, late.error?.code], [1, "busy"]);
    assert.deepEqual(await Deno.readFile(names[2]), files["note.txt.p7s"]);
    assert.deepEqual(
      [...Deno.readDirSync(archive)].filter(({ name }) => name.startsWith(".")),
      [],
    );
  }));
