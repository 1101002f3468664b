import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { inTempDir } from "../tests/fixtures/openssl.ts";

const linux = { ignore: Deno.build.os !== "linux" };

/** An apt-get whose archive has all but some packages, and whose lists are missing at first. */
const aptGet = (dir: string, absent: string) =>
  `#!/bin/sh
echo "apt-get $*" >>${dir}/log
while [ "$1" = -o ]; do shift 2; done
case $1 in
--version) exit 0 ;;
update) : >${dir}/lists ;;
install)
	[ -f ${dir}/lists ] || exit 100
	[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 100
	for package; do [ "$package" != "${absent}" ] || exit 100; done
	for package; do
		case $package in
		softhsm2) program=softhsm2-util ;;
		opensc) program=pkcs11-tool ;;
		poppler-utils) program=pdfsig ;;
		*) program=$package ;;
		esac
		: >${dir}/$program
	done
	;;
esac
`;

/** A sudo that needs no password, and like sudo drops the environment. */
const SUDO = `#!/bin/sh
[ "$1" = -n ] && shift
unset DEBIAN_FRONTEND
exec "$@"
`;

async function setup(dir: string) {
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(new URL("setup.ts", import.meta.url)), "demo"],
    env: { PATH: dir },
  }).output();
  const log = await Deno.readTextFile(`${dir}/log`).catch(() => "");
  const calls = log.trim().split("\n").filter((line) => !line.includes("--version"));
  return { code, stderr: new TextDecoder().decode(stderr), stdout, calls };
}

async function machine(absent: string, test: (dir: string) => Promise<void>) {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/apt-get`, aptGet(dir, absent), { mode: 0o755 });
    await Deno.writeTextFile(`${dir}/sudo`, SUDO, { mode: 0o755 });
    await Deno.symlink("/usr/bin/env", `${dir}/env`);
    await Deno.symlink("/bin/true", `${dir}/true`);
    await test(dir);
  });
}

Deno.test(
  "what is missing is installed by apt, its lists are fetched first where they are not there",
  linux,
  async () => {
    await machine("none", async (dir) => {
      const { code, stderr, stdout, calls } = await setup(dir);
      assert.equal(code, 0, stderr);
      assert.equal(stdout.length, 0, "standard output is the caller's");
      assert.equal(calls.length, 3, calls.join("\n"));
      assert.match(
        calls[0]!,
        /install -y --no-install-recommends softhsm2 opensc openssl poppler-utils$/,
      );
      assert.match(calls[1]!, /update$/);
      assert.match(calls[2]!, /install .* softhsm2 opensc openssl poppler-utils$/);

      // the second time there is nothing to do
      const again = await setup(dir);
      assert.equal(again.code, 0);
      assert.equal(again.stderr, "");
      assert.equal(again.calls.length, 3);
    });
  },
);

Deno.test(
  "a package that apt does not have is named and does not keep the others out",
  linux,
  async () => {
    await machine("opensc", async (dir) => {
      const { code, stderr } = await setup(dir);
      assert.equal(code, 1);
      assert.match(stderr, /^Missing: opensc\./m);
      await Deno.stat(`${dir}/openssl`);
      await Deno.stat(`${dir}/softhsm2-util`);
    });
  },
);

Deno.test("without apt the missing packages are named", linux, async () => {
  await inTempDir(async (dir) => {
    const { code, stderr } = await setup(dir);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Missing: softhsm2 opensc openssl poppler-utils\..*apt-get install softhsm2 opensc openssl poppler-utils/,
    );
  });
});
