/** More real PKCS#11 modules for tests: a TPM, and a module behind p11-kit's server. */
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { basicConstraints } from "../fixtures/extensions.ts";
import { freePort } from "../fixtures/free_port.ts";
import { issue } from "../fixtures/issue.ts";
import { makeKey } from "../fixtures/keys.ts";
import { run } from "../fixtures/openssl.ts";
import {
  findModule,
  HOST_COMMAND,
  PIN,
  softhsm,
  type TestKey,
  type TestToken,
} from "./pkcs11_tokens.ts";

/** A program in the background; the returned function ends it. */
function start(program: string, debian: string, args: string[], env?: Record<string, string>) {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args, env, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`This test needs the program ${program}: apt-get install ${debian}`);
  }
  return async () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  };
}

/** Until `ready` holds. @throws {Error} if it does not within a minute */
async function until(ready: () => Promise<boolean>): Promise<void> {
  for (let tries = 1200; !await ready(); tries--) {
    if (tries === 0) throw new Error("A service that the module needs does not start.");
    await new Promise((done) => setTimeout(done, 50));
  }
}

const listens = async (port: number) => {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
};

/** tpm2-pkcs11 on a TPM in software. The key is made on it, as on a real one. */
export async function tpm2(dir: string): Promise<TestToken> {
  const modulePath = findModule(["pkcs11/libtpm2_pkcs11.so"], "libtpm2-pkcs11-1");
  const [state, store] = ["tpm", "store"].map((name) => join(dir, name));
  for (const folder of [state, store]) Deno.mkdirSync(folder);
  // Clients look for the control port behind the first.
  const port = freePort();
  const control = port + 1;
  const at = (type: string, port: number) => [type, `type=tcp,port=${port},bindaddr=127.0.0.1`];
  const close = start("swtpm", "swtpm", [
    ...["socket", "--tpm2", "--tpmstate", `dir=${state}`],
    ...[...at("--server", port), ...at("--ctrl", control)],
    ...["--flags", "not-need-init,startup-clear"],
  ]);
  try {
    // A connection to its first port would be taken for the module's.
    await until(() => listens(control));
    const env = {
      TPM2_PKCS11_TCTI: `swtpm:host=127.0.0.1,port=${port}`,
      TPM2_PKCS11_STORE: store,
      TPM2_PKCS11_LOG_LEVEL: "0",
      TSS2_LOG: "all+NONE",
    };
    const tool = (...args: string[]) =>
      run("pkcs11-tool", "opensc", ["--module", modulePath, ...args], { env });
    const label = "D-Sign test";
    const user = ["--token-label", label, "--login", "--pin", PIN];
    const file = (ending: string) => join(dir, `p256.${ending}`);
    const so = ["--so-pin", "87654321"];
    await tool("--init-token", "--label", label, ...so);
    const asSo = ["--token-label", label, "--login", "--login-type", "so", ...so];
    await tool(...asSo, "--init-pin", "--pin", PIN);
    const object = ["--id", "01", "--label", "p256"];
    await tool(...user, "--keypairgen", "--key-type", "EC:prime256v1", ...object);
    await tool(...user, "--read-object", "--type", "pubkey", "--id", "01", "-o", file("pub"));
    const validity = { notBefore: new Date(), notAfter: new Date(Date.now() + 24 * 3_600_000) };
    const { certificate } = issue({
      subject: [["CN", "p256"]],
      issuer: issue({ subject: [["CN", "CA"]], ...validity, extensions: [basicConstraints(true)] }),
      key: { ...makeKey("p-256"), publicKey: Deno.readFileSync(file("pub")) },
      ...validity,
      extensions: [basicConstraints(false)],
    });
    Deno.writeFileSync(file("der"), certificate.der);
    await tool(...user, "--write-object", file("der"), "--type", "cert", ...object);
    const key: TestKey = {
      ...{ name: "p256", type: "ec", id: "01", keyPem: "", keyDer: "", pkcs12: "" },
      certificateDer: file("der"),
      certificate: new X509Certificate(certificate.der),
    };
    return { modulePath, env, command: HOST_COMMAND, label, keys: [key], close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** SoftHSM behind a socket of p11-kit's server, as a remote desktop or a container reaches a token. */
export async function p11KitServer(dir: string, keys: TestKey[]): Promise<TestToken> {
  const modulePath = findModule(["pkcs11/p11-kit-client.so"], "p11-kit-modules");
  const token = await softhsm(dir, keys);
  const socket = join(dir, "p11-kit.socket");
  const close = start("p11-kit", "p11-kit", [
    ...["server", "--foreground", "--name", socket, "--provider", token.modulePath],
    `pkcs11:token=${encodeURIComponent(token.label)}`,
  ], token.env);
  try {
    await until(() => Promise.resolve(existsSync(socket)));
    return {
      ...token,
      modulePath,
      env: { P11_KIT_SERVER_ADDRESS: `unix:path=${socket}` },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A module whose calls OpenSC's spy writes down. */
export interface SpiedModule {
  modulePath: string;
  env: Record<string, string>;
  /** Names of the functions that were given a PIN so far, in order. */
  pins(): string[];
}

/** @param log a file for the spy; it holds the PINs */
export function spied(real: Pick<TestToken, "modulePath" | "env">, log: string): SpiedModule {
  return {
    modulePath: findModule(["pkcs11-spy.so", "pkcs11/pkcs11-spy.so"], "opensc-pkcs11"),
    env: { ...real.env, PKCS11SPY: real.modulePath, PKCS11SPY_OUTPUT: log },
    pins: () => {
      const calls = Deno.readTextFileSync(log).matchAll(/^\d+: (C_Login|C_SetPIN|C_InitPIN)$/gm);
      return Array.from(calls, ([, name]) => name);
    },
  };
}
