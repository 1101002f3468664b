import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { UpdateSource } from "../settings/policy_file.ts";
import { publicKeyText, signManifest } from "../tasks/release_manifest.ts";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { checkForUpdate } from "./update.ts";
import {
  compareVersions,
  type Manifest,
  UpdateError,
  type UpdateErrorCode,
} from "./update/manifest.ts";

const NOW = new Date("2026-11-21T12:00:00Z");
const MANIFEST: Manifest = {
  product: "dsign",
  channel: "stable",
  version: "0.2.0",
  issued: "2026-11-20T00:00:00Z",
  expires: "2026-12-20T00:00:00Z",
  notes: "https://example.org/notes",
  files: ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", Deno.build.target].map((target) => ({
    target,
    name: "dsign.pkg",
    url: "https://example.org/dsign.pkg",
    size: 43_000_000,
    sha256: "0".repeat(64),
  })),
};
const { privateKey: KEY } = generateKeyPairSync("ed25519");
const { privateKey: OTHER_KEY } = generateKeyPairSync("ed25519");

type Change = Partial<Record<keyof Manifest, unknown>>;
const made = (change: Change = {}, key: KeyObject = KEY) =>
  signManifest({ ...MANIFEST, ...change } as Manifest, key);

interface Office {
  /** The server's answer from now on: text, a status, or silence. */
  answer: string | number | ReadableStream<Uint8Array>;
  asked: string[];
  memory: string;
  check(
    question?: { now?: Date; keys?: string[]; channel?: string },
  ): ReturnType<typeof checkForUpdate>;
}

/** A loopback server of manifests, and a separate state folder. */
function test(name: string, body: (office: Office) => Promise<void>): void {
  Deno.test(name, () =>
    inTempDir(async (dir) => {
      const office: Office = {
        answer: made(),
        asked: [],
        memory: join(dir, "updates.json"),
        check: ({ now = NOW, keys = [publicKeyText(KEY)], channel = "stable" } = {}) =>
          checkForUpdate({
            source: { manifest: `http://127.0.0.1:${server.addr.port}/{channel}.json`, keys },
            channel,
            version: "0.1.0",
            memory: office.memory,
            now,
            signal: new AbortController().signal,
          }),
      };
      const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
        office.asked.push(new URL(url).pathname);
        return typeof office.answer === "number"
          ? new Response("no", { status: office.answer })
          : new Response(office.answer);
      });
      try {
        await body(office);
      } finally {
        await server.shutdown();
      }
    }));
}

const fails = (promise: Promise<unknown>, code: UpdateErrorCode, what?: string) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof UpdateError, String(error));
    assert.equal(error.code, code, what ?? error.message);
    return true;
  });

test("a newer version is told, with this kind of computer's files", async (office) => {
  const { manifest, newer, files } = await office.check();
  assert.equal(newer, true);
  assert.equal(manifest.version, "0.2.0");
  assert.ok(files.length >= 1 && files.every(({ target }) => target === Deno.build.target));
  assert.deepEqual(office.asked, ["/stable.json"]);
  office.answer = made({ channel: "testing", version: "0.1.0" });
  assert.equal((await office.check({ channel: "testing" })).newer, false);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(office.memory)), {
    stable: { version: "0.2.0", issued: MANIFEST.issued },
    testing: { version: "0.1.0", issued: MANIFEST.issued },
  });
});

test("a key that is being replaced and its successor are both trusted", async (office) => {
  const keys = [publicKeyText(OTHER_KEY), publicKeyText(KEY)];
  assert.equal((await office.check({ keys })).newer, true);
});

test("a manifest that was tampered with, or is somebody else's, is not believed", async (office) => {
  office.answer = made({}, OTHER_KEY);
  await fails(office.check(), "update_untrusted");

  const whole = JSON.parse(made());
  const other = JSON.parse(made({ version: "9.9.9" }));
  for (const part of ["payload", "signature"]) {
    office.answer = JSON.stringify({ ...whole, [part]: other[part] });
    await fails(office.check(), "update_untrusted", part);
  }
  for (const signature of ["", "AAAA"]) {
    office.answer = JSON.stringify({ ...whole, signature });
    await fails(office.check(), "update_untrusted", signature);
  }
  office.answer = made({ channel: "testing" });
  await fails(office.check(), "update_untrusted", "a manifest of another channel");
  await assert.rejects(Deno.stat(office.memory), Deno.errors.NotFound);
});

test("a signature of the same key over something else is none over a manifest", async (office) => {
  const { sign } = await import("node:crypto");
  const part = (text: string) =>
    new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
  const header = part('{"alg":"Ed25519","typ":"JWT"}');
  const payload = part(JSON.stringify(MANIFEST));
  const signature = new Uint8Array(
    sign(null, new TextEncoder().encode(`${header}.${payload}`), KEY),
  )
    .toBase64({ alphabet: "base64url" });
  office.answer = JSON.stringify({ protected: header, payload, signature });
  await fails(office.check(), "update_malformed");
});

test("an old manifest is refused: expired, issued earlier, or of an earlier version", async (office) => {
  await fails(office.check({ now: new Date(MANIFEST.expires) }), "update_expired");
  await office.check();
  office.answer = made({ issued: "2026-11-19T00:00:00Z" });
  await fails(office.check(), "update_rolled_back");
  office.answer = made({ issued: "2026-11-21T00:00:00Z", version: "0.1.9" });
  await fails(office.check(), "update_rolled_back");
  office.answer = made({ issued: "2026-11-21T00:00:00Z" });
  assert.equal((await office.check()).newer, true, "signed anew without a new version");
});

test("what is no manifest is refused, and what is too large is not read", async (office) => {
  for (
    const answer of [
      "<html>",
      "{}",
      "null",
      made({ version: "1" }),
      made({ version: "1.0.0-evil" }),
      made({ product: "other" }),
      made({ files: [{ ...MANIFEST.files[0], url: "javascript:alert(1)" }] }),
      made({ files: [{ ...MANIFEST.files[0], name: "../../etc/passwd" }] }),
      made({ files: Array(101).fill(MANIFEST.files[0]) }),
      "x".repeat(70_000),
    ]
  ) {
    office.answer = answer;
    await fails(office.check(), "update_malformed", answer.slice(0, 40));
  }
  office.answer = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(10_000)),
  });
  await fails(office.check(), "update_malformed", "without an end");
});

test("a server that does not answer rightly is unreachable", async (office) => {
  office.answer = 404;
  await fails(office.check(), "update_unreachable");
});

test("a damaged memory is written anew", async (office) => {
  await Deno.writeTextFile(office.memory, "{");
  assert.equal((await office.check()).newer, true);
  assert.equal(JSON.parse(await Deno.readTextFile(office.memory)).stable.version, "0.2.0");
});

Deno.test("versions are compared number by number", () => {
  const sorted = ["0.1.0", "0.2.0", "0.10.0", "1.0.0", "1.0.1"];
  assert.deepEqual(sorted.toReversed().sort(compareVersions), sorted);
  assert.equal(compareVersions("1.2.3", "1.2.3"), 0);
});

Deno.test("dsign update check says when the build has no update address or the channel is none", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    const unset = await dsign(["update", "check", "--json"], env);
    assert.equal(JSON.parse(unset.stdout).error.code, "update_not_set_up", unset.stderr);
    assert.equal(unset.code, 1);
    await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
    await Deno.writeTextFile(join(dir, "config/dsign/config.json"), '{"updateChannel":"none"}');
    const none = await dsign(["update", "check", "--json"], env);
    assert.deepEqual([none.code, JSON.parse(none.stdout).newer], [0, false], none.stderr);
  }));

/** An office with one manifest that is far newer. */
async function announced(test: (source: UpdateSource) => Promise<void>): Promise<void> {
  const time = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const text = made({ version: "99.0.0", issued: time(0), expires: time(1) });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(text),
  );
  try {
    const manifest = `http://127.0.0.1:${server.addr.port}/{channel}.json`;
    await test({ manifest, keys: [publicKeyText(KEY)] });
  } finally {
    await server.shutdown();
  }
}

Deno.test("dsign update check asks where the build says, and trusts the key that was built in", () =>
  inTempDir((dir) =>
    announced(async (source) => {
      const root = new URL("../", import.meta.url);
      const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
      const check = async (builtIn: unknown) => {
        const [file, map] = [join(dir, "release_source.json"), join(dir, "imports.json")];
        await Deno.writeTextFile(file, JSON.stringify(builtIn));
        const place = new URL("cli/update/release_source.json", root).href;
        const replaced = { ...imports, [place]: pathToFileURL(file).href };
        await Deno.writeTextFile(map, JSON.stringify({ imports: replaced }));
        const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "--no-prompt", "--no-lock", "-A", `--import-map=${map}`],
            ...[fileURLToPath(new URL("main.ts", root)), "update", "check", "--json"],
          ],
          env: environment(dir),
        }).output();
        assert.ok(stdout.length > 0, new TextDecoder().decode(stderr));
        return JSON.parse(new TextDecoder().decode(stdout));
      };
      assert.equal((await check(source)).newest, "99.0.0");
      const other = { ...source, keys: [publicKeyText(OTHER_KEY)] };
      assert.equal((await check(other)).error.code, "update_untrusted");
      for (const key of ["", "A".repeat(44)]) {
        const { error } = await check({ ...source, keys: [key] });
        assert.equal(error.code, "update_not_set_up", "a build without a right key");
      }
    })
  ));

const canMount = Deno.build.os === "linux" && Deno.uid() === 0 &&
  await new Deno.Command("unshare", { args: ["--mount", "true"], stderr: "null" }).output()
    .then(({ success }) => success, () => false);

Deno.test({
  name: "dsign update check asks where the policy says (optional: needs root and unshare)",
  ignore: !canMount,
  fn: () =>
    inTempDir((dir) =>
      announced(async (updateSource) => {
        await Deno.writeTextFile(join(dir, "policy.json"), JSON.stringify({ updateSource }));
        // an /etc that no other program sees
        const script = `mount -t tmpfs tmpfs /mnt && cp -a /etc/. /mnt/ && mount --bind /mnt /etc &&
          mkdir -p /etc/dsign && install -m 644 "$0" /etc/dsign/policy.json && exec "$@"`;
        const main = fileURLToPath(new URL("../main.ts", import.meta.url));
        const check = async (...more: string[]) => {
          const { code, stdout, stderr } = await new Deno.Command("unshare", {
            args: [
              ...["--mount", "sh", "-c", script, join(dir, "policy.json"), Deno.execPath()],
              ...["run", "--no-prompt", "-A", main, "update", "check", ...more],
            ],
            env: environment(dir),
            stdin: "null",
          }).output();
          assert.equal(code, 0, new TextDecoder().decode(stderr));
          return new TextDecoder().decode(stdout);
        };
        const { newest, newer, files } = JSON.parse(await check("--json"));
        assert.deepEqual([newest, newer], ["99.0.0", true]);
        assert.ok(files.length > 0);
        assert.match(await check(), /^dsign 99\.0\.0 is available.*Nothing was installed\.$/ms);
      })
    ),
});
