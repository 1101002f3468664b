import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { readOtpConfig, readSecretFile, replaceFile } from "./config.ts";
import { initService } from "./init.ts";
import { readLogSigner } from "./log_key.ts";
import { readSecrets } from "./secret_file.ts";

Deno.test("a client looks people up by name only if it is an administrator's, or if so configured", () =>
  inTempDir(async (dir) => {
    await initService(join(dir, "service"), {
      organization: "Works (TEST)",
      policy: "2.999.6.1",
      publicUrl: "http://127.0.0.1:7795",
      redirectUris: [],
    });
    const path = join(dir, "service", "config.json");
    const config = JSON.parse(await Deno.readTextFile(path));
    const [{ secretHash }] = config.clients;
    const client = (id: string, more: object) => ({ id, name: id, secretHash, ...more });
    config.clients = [
      client("admin", { admin: true }),
      client("portal", {}),
      client("old", { listsPersons: true }),
      client("tool", { admin: true, listsPersons: false }),
    ];
    await Deno.writeTextFile(path, JSON.stringify(config));
    const { clients } = await readOtpConfig(path);
    assert.deepEqual(clients.map(({ listsPersons }) => listsPersons), [true, false, true, false]);
  }));

Deno.test("a secret that others may read is not used, wherever it stands", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "secret");
    await Deno.writeTextFile(path, `${"5a".repeat(32)}\n`);
    for (
      const read of [readSecretFile, readSecrets, (path: string) => readLogSigner(path, "log")]
    ) {
      await Deno.chmod(path, 0o640);
      await assert.rejects(read(path), { name: "SetupError", message: /chmod 600/ });
      await Deno.chmod(path, 0o600);
      await read(path);
    }
  }));

Deno.test("a file that instances reach by a link is replaced where it stands", () =>
  inTempDir(async (dir) => {
    const [path, link] = [join(dir, "secret"), join(dir, "link")];
    await Deno.writeTextFile(path, "old", { mode: 0o600 });
    await Deno.symlink(path, link);
    await replaceFile(link, "new");
    assert.ok((await Deno.lstat(link)).isSymlink);
    const { mode } = await Deno.stat(path);
    assert.deepEqual([await Deno.readTextFile(path), mode! & 0o777], ["new", 0o600]);
  }));

Deno.test("http is for the two loopback addresses alone: a name may lead elsewhere", () =>
  inTempDir(async (dir) => {
    const made = (publicUrl: string, name: string) =>
      initService(join(dir, name), {
        organization: "Works (TEST)",
        policy: "2.999.6.1",
        publicUrl,
        redirectUris: [],
      });
    const refused = [
      ...[
        "http://localhost:7795",
        "http://LOCALHOST",
        "http://127.0.0.2",
        "http://127.0.0.1.example",
      ],
      ...["http://[::2]", "http://sign.example", "ftp://127.0.0.1"],
    ];
    for (const url of refused) {
      const message = /only for 127\.0\.0\.1 and \[::1\]/;
      await assert.rejects(made(url, "no"), { name: "SetupError", message }, url);
    }
    for (const [i, url] of ["http://127.0.0.1:7795", "http://[::1]:7795"].entries()) {
      await made(url, `${i}`);
    }
  }));
