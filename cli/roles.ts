type Permission = Deno.PermissionDescriptor["name"];

/** Permissions that each role gives up. */
const DOES_WITHOUT: Readonly<Record<string, readonly Permission[]>> = {
  // keeps read until the driver is loaded (pkcs11_ffi/host.ts)
  "pkcs11-host": ["import", "net", "run", "write", "env", "sys"],
  // keeps read until its code is loaded (windows_ffi/host.ts)
  "windows-store-host": ["import", "net", "run", "write", "env", "sys"],
  // keeps read until pdf.js is loaded (signing/text_worker.ts)
  "pdf-text": ["ffi", "import", "net", "run", "write", "env", "sys"],
  // keeps read until its thread is loaded (reader/host.ts)
  reader: ["ffi", "import", "net", "run", "write", "env", "sys"],
  // run starts drivers' processes, readers, browsers and pinentry
  agent: ["ffi", "import"],
  trial: ["ffi", "import"],
  tokens: ["ffi", "import", "net", "write"],
  // writes the audit log
  "tokens pin": ["ffi", "import", "net"],
  sign: ["ffi", "import", "net"],
  // remote signing services
  "tokens online": ["ffi", "import", "write"],
  // the same; timestamps, OCSP and CRLs
  "sign online": ["ffi", "import"],
  // also gives up net and write unless its options need them, and run unless there are several files
  verify: ["ffi", "import"],
  // run starts the readers
  extend: ["ffi", "import"],
  log: ["ffi", "import", "net", "run", "write"],
  // makes the user's key where there is none yet
  "log checkpoint": ["ffi", "import", "net", "run"],
  // run starts certutil and the like
  trust: ["ffi", "import", "net"],
  policy: ["ffi", "import", "net", "run"],
  autostart: ["ffi", "import", "net"],
  modules: ["ffi", "import", "net"],
  identity: ["ffi", "import", "net", "run"],
  // net reaches the agent and the ports of this computer only
  doctor: ["ffi", "import"],
  support: ["ffi", "import"],
  // net fetches the manifest only
  update: ["ffi", "import", "run"],
  // run starts the drivers' processes
  "otp-service": ["ffi", "import"],
  // run starts its readers
  "verify-service": ["ffi", "import"],
  openrpc: ["ffi", "import", "net", "run", "write"],
};

/** The command's name: the first argument apart from `--json`; undefined if there is none. */
export function commandOf(args: readonly string[]): string | undefined {
  return args.find((arg) => arg !== "--json");
}

/** The role for these arguments; help, version and wrong usage need no more than `openrpc` does. */
export function roleOf(args: readonly string[]): string {
  // `dsign` and `dsign --json` start the agent with its console
  const first = commandOf(args) ?? "agent";
  if (first === "tokens" && args.some((arg) => arg === "unlock" || arg === "pin")) {
    return "tokens pin";
  }
  const isOnline = args.some((arg) => /^--(level(=|$)|remote$)/.test(arg));
  if (isOnline && (first === "sign" || first === "tokens")) return `${first} online`;
  if (first === "log" && args.includes("checkpoint")) return "log checkpoint";
  return Object.hasOwn(DOES_WITHOUT, first) ? first : "openrpc";
}

/** Revokes the permissions that a role does not need, so that a bug in it or its dependencies can do less harm. */
export function giveUpPermissions(role: string): void {
  for (const name of DOES_WITHOUT[role]) Deno.permissions.revokeSync({ name });
}
