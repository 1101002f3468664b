/**
 * `deno task test:python`: the tests that need packages of Python, which `deno task test` leaves out by name where they are
 * not installed. They are put into a virtual environment in the user's cache. PYTHON names another Python than python3.
 */
import { join } from "node:path";

/** From PyPI, as tested. */
const PACKAGES = ["aiohttp==3.14.5", "pyhanko==0.38.0", "schemathesis==4.32.5"];
/** Asks for Python 3.12. */
const NEWER = "aics-tlog==0.2.1; python_version >= '3.12'";

/** Tests with a part in Python. */
const TESTS = [
  "tests/e2e/pdf_pyhanko_test.ts",
  "tests/log_judges_test.ts",
  "tests/ltv_test.ts",
  "tests/otp_pyhanko_test.ts",
  "tests/verify_service_schemathesis_test.ts",
];

async function run(program: string, args: string[], env: Record<string, string> = {}) {
  const { code } = await new Deno.Command(program, {
    args,
    env,
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) Deno.exit(code);
}

if (import.meta.main) {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME")!, ".cache");
  const folder = join(cache, "dsign-test-python");
  const python = join(folder, "bin", "python");
  await run(Deno.env.get("PYTHON") ?? "python3", ["-m", "venv", "--clear", folder]);
  await run(python, ["-m", "pip", "install", "--quiet", ...PACKAGES, NEWER]);
  await run(Deno.execPath(), ["test", "-A", "--no-check", ...TESTS], { DSIGN_TEST_PYTHON: python });
}
