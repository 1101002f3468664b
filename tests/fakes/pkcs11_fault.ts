import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../fixtures/openssl.ts";

const SOURCE = fileURLToPath(new URL("./pkcs11_fault.c", import.meta.url));

/** A driver that misbehaves as its control file says; the faults are listed in pkcs11_fault.c. */
export interface FaultDriver {
  modulePath: string;
  /** Environment of the child that loads it. */
  env: Record<string, string>;
  /** Replaces what is to go wrong from now on; none: behaves like the real module. */
  set(...faults: string[]): void;
  /** User types of all C_Login calls so far, and `C_SetPIN`. */
  logins(): string[];
}

/**
 * Builds the driver into `dir`, around a real module.
 *
 * @throws {Error} naming the Debian package when there is no C compiler
 */
export async function buildFaultDriver(
  dir: string,
  real: { modulePath: string; env: Record<string, string> },
): Promise<FaultDriver> {
  const modulePath = join(dir, "pkcs11_fault.so");
  const control = join(dir, "faults");
  const log = join(dir, "logins");
  const flags = ["-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-O1"];
  await run("gcc", "gcc libc6-dev", [...flags, "-o", modulePath, SOURCE, "-ldl", "-lpthread"]);
  Deno.writeTextFileSync(control, "");
  Deno.writeTextFileSync(log, "");
  return {
    modulePath,
    env: {
      ...real.env,
      PKCS11_FAULT_REAL: real.modulePath,
      PKCS11_FAULT_CONTROL: control,
      PKCS11_FAULT_LOG: log,
    },
    set: (...faults) => Deno.writeTextFileSync(control, faults.join("\n") + "\n"),
    logins: () => Deno.readTextFileSync(log).split("\n").filter(Boolean),
  };
}
