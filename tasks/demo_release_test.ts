import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import configuration from "../deno.json" with { type: "json" };
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { readRelease } from "../web/portal/install_release.ts";
import { startPortal } from "./demo_portal.ts";

Deno.test("the demonstration's download page offers what was built, and nothing else", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/web`);
    const portal = startPortal(new URL("web/", pathToFileURL(`${dir}/`)));
    try {
      const page = `${portal.url}/web/install.html`;
      const get = (path: string) => fetch(new URL(path, page));
      const refused = async (path: string) => {
        const answer = await get(path);
        await answer.body?.cancel();
        assert.equal(answer.status, 404, path);
      };
      await refused("release.json");

      const name = `dsign_${configuration.version}_amd64.deb`;
      await Deno.mkdir(`${dir}/packages`);
      for (const each of [name, "SHA256SUMS", "dsign_0.0.1_amd64.deb", "notes"]) {
        await Deno.writeTextFile(`${dir}/packages/${each}`, `this is ${each}`);
      }
      const release = readRelease(await (await get("release.json")).text(), page)!;
      assert.deepEqual(release.files.map((file) => file.name), [name]);
      const [{ url, sha256, size }] = release.files;
      const file = await (await get(url)).bytes();
      assert.equal(file.length, size);
      assert.equal(createHash("sha256").update(file).digest("hex"), sha256);
      for (const other of ["SHA256SUMS", "notes", "dsign_0.0.1_amd64.deb", "..%2fweb%2fx.js"]) {
        await refused(`/downloads/${other}`);
      }
    } finally {
      await portal.close();
    }
  }));
