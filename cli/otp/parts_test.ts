/** The PIN/OTP service by its configuration: an eSign service provider, as an administrator sets it up. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readOtpConfig } from "../../otp_service/config.ts";
import { initService } from "../../otp_service/init.ts";
import { createHandler } from "../../otp_service/server.ts";
import { writePkcs12 } from "../../signers/pkcs12_write.ts";
import { FakeEsp } from "../../tests/fakes/esp.ts";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { rereadCertificate } from "../../tests/fixtures/second_reader.ts";
import { readCertificates } from "../../formats/x509/bundle.ts";
import { TRIAL_ORGANISATION } from "../../formats/x509/trial.ts";
import { issue } from "../../tests/fixtures/issue.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { readerCommand } from "../host_command.ts";
import { openParts } from "./parts.ts";

const READER = readerCommand(new URL("../../main.ts", import.meta.url).href);
const REDIRECT = "https://portal.example/signed";
const PUBLIC_URL = "http://127.0.0.1:7795";

Deno.test("an error in the ESP's configuration names the setting, and a correct configuration signs", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "service");
    const { clientId, clientSecret } = await initService(folder, {
      organization: "Works (TEST)",
      policy: "2.999.6.1",
      publicUrl: PUBLIC_URL,
      redirectUris: [REDIRECT],
    });
    const [authority] = readCertificates(await Deno.readFile(join(folder, "authority.pem")));
    await rereadCertificate(authority!);
    const asp = issue({
      subject: [["CN", "Portal (TEST)"]],
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      extensions: [],
    });
    const fake = new FakeEsp({ id: "WORKS-1", certificate: asp.certificate.der });
    const secret = { mode: 0o600 };
    await Deno.writeTextFile(join(folder, "asp.password"), "asp password\n", secret);
    await Deno.writeFile(
      join(folder, "asp.p12"),
      await writePkcs12({
        key: asp.pkcs8,
        certificates: [asp.certificate.der],
        password: new TextEncoder().encode("asp password"),
        friendlyName: "ASP",
      }),
      secret,
    );
    const certificate = (name: string, der: Uint8Array) =>
      Deno.writeTextFile(join(folder, name), pem("CERTIFICATE", der));
    await certificate("esp.pem", fake.party.certificate.der);
    await certificate("cca.pem", fake.root.certificate.der);
    const trial = issue({
      subject: [["O", TRIAL_ORGANISATION]],
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      extensions: [],
    });
    await certificate("trial.pem", trial.certificate.der);
    await Deno.writeTextFile(join(folder, "empty.pem"), "-----BEGIN NOTHING-----\n");
    const good = {
      url: "https://esp.example/2.1/signdoc",
      aspId: "WORKS-1",
      key: { keyFile: "asp.p12", passwordFile: "asp.password" },
      certificatesFile: "esp.pem",
      anchorsFile: "cca.pem",
    };
    const path = join(folder, "config.json");
    const base = JSON.parse(await Deno.readTextFile(path));
    const write = (esp: Record<string, unknown>) =>
      Deno.writeTextFile(path, JSON.stringify({ ...base, esp }));
    const open = () =>
      openParts(path, { hostCommand: [], readerCommand: READER, web: new URL("file:///none/") });
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ url: "http://esp.example/" }, /"esp\.url": must be https:/],
      [{ url: undefined }, /"esp\.url"/],
      [{ aspid: "x" }, /unknown setting "esp\.aspid"/],
      [
        { key: { keyFile: "asp.p12" } },
        /"esp\.key": must hold keyFile and passwordFile, or module/,
      ],
      [{ auth: "face" }, /"esp\.auth"/],
      [{ origins: ["https://esp.example/"] }, /"esp\.origins\.0"/],
    ];
    for (const [change, message] of wrong) {
      await write({ ...good, ...change });
      await assert.rejects(readOtpConfig(path), { name: "SetupError", message });
    }
    const files: typeof wrong = [
      [{ key: { keyFile: "none.p12", passwordFile: "asp.password" } }, /none\.p12/],
      [{ certificatesFile: "none.pem" }, /none\.pem is missing/],
      [{ anchorsFile: "empty.pem" }, /empty\.pem holds no certificate/],
      [{ anchorsFile: "trial.pem" }, /trial\.pem is of a trial agent/],
    ];
    for (const [change, message] of files) {
      await write({ ...good, ...change });
      await assert.rejects(open(), { name: "SetupError", message });
    }

    await write({ ...good, origins: ["null"] });
    const { service, close } = await open();
    try {
      const handler = createHandler(service);
      const token = await handler(
        new Request(`${PUBLIC_URL}/oauth2/token`, {
          method: "POST",
          body: new URLSearchParams({
            grant_type: "client_credentials",
            client_id: clientId,
            client_secret: clientSecret,
          }),
        }),
      ).then(async (response) => (await response.json()).access_token);
      const headers = { authorization: `Bearer ${token}` };
      const query = new URLSearchParams({ purpose: "Sanction 7", redirect_uri: REDIRECT });
      const { transaction, location } = await handler(
        new Request(`${PUBLIC_URL}/portal/v1/esign?${query}`, {
          method: "POST",
          headers,
          body: new Uint8Array(classicPdf(documentObjects())),
        }),
      ).then((response) => response.json());
      const ticket = new URL(location).pathname.split("/").at(-1)!;
      const { fields } = (await service.esp!.page(ticket))!;
      const answered = await handler(
        new Request(`${PUBLIC_URL}/esign/response`, {
          method: "POST",
          headers: { origin: "null" },
          body: new URLSearchParams(fake.approve(fields, "Anita Sen")),
        }),
      );
      assert.equal(answered.status, 303);
      const { state, signer } = await handler(
        new Request(`${PUBLIC_URL}/portal/v1/esign/${transaction}`, { headers }),
      ).then((response) => response.json());
      assert.deepEqual([state, signer], ["signed", "Anita Sen"]);
    } finally {
      await close();
    }
  }));

Deno.test("a missing file, a folder or another wrong file is named in one sentence", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "service");
    const init = { organization: "Works (TEST)", publicUrl: "http://127.0.0.1:7795" };
    await initService(folder, { ...init, policy: "2.999.6.1", redirectUris: [] });
    const path = join(folder, "config.json");
    const base = JSON.parse(await Deno.readTextFile(path));
    const est = { url: "https://ca.example/est", certificateFile: "authority.pem" };
    const module = { module: "/no/such.so", token: "pkcs11:token=x", pinFile: "secret" };
    const wrong: [Record<string, unknown>, string][] = [
      [{ database: folder }, `The database ${folder}: it cannot be opened.`],
      [
        { database: "authority.p12" },
        `The database ${folder}/authority.p12: it is not a SQLite database.`,
      ],
      [{ secretFile: "none" }, `${folder}/none is missing.`],
      [{ secretFile: "." }, `${folder} is a folder, not a file.`],
      [{ keys: module }, "/no/such.so is missing."],
      [{ authority: { ...module, certificateFile: "authority.pem" } }, "/no/such.so is missing."],
      [{ authority: { ...est, tlsAnchorsFile: "none" } }, `${folder}/none is missing.`],
      [
        { sms: { url: "https://sms.example", headersFile: "secret" } },
        `${folder}/secret is not a JSON object of headers.`,
      ],
    ];
    for (const [setting, message] of wrong) {
      await Deno.writeTextFile(path, JSON.stringify({ ...base, ...setting }));
      const opening = openParts(path, {
        hostCommand: [],
        readerCommand: READER,
        web: new URL("file:///none/"),
      });
      await assert.rejects(opening, { name: "SetupError", message });
    }
  }));
