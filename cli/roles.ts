type Permission = Deno.PermissionDescriptor["name"];

/** What each role does without; it keeps the rest of what the whole program was started with. */
const DOES_WITHOUT: Readonly<Record<string, readonly Permission[]>> = {
  // keeps read until the driver is loaded (pkcs11_ffi/host.ts)
  "pkcs11-host": ["import", "net", "run", "write", "env", "sys"],
  // keeps read until pdf.js is loaded (signing/text_host.ts)
  "pdf-text": ["ffi", "import", "net", "run", "write", "env", "sys"],
  // keeps read until its thread is loaded (reader/host.ts)
  reader: ["ffi", "import", "net", "run", "write", "env", "sys"],
  // run starts drivers' processes, readers, browsers and pinentry
  agent: ["ffi", "import"],
  tokens: ["ffi", "import", "net", "write"],
  sign: ["ffi", "import", "net"],
  // remote signing services
  "tokens online": ["ffi", "import", "write"],
  // the same; timestamps, OCSP and CRLs
  "sign online": ["ffi", "import"],
  // gives up net and write too where its options do not ask for them
  verify: ["ffi", "import", "run"],
  log: ["ffi", "import", "net", "run", "write"],
  // run starts certutil and its like
  trust: ["ffi", "import", "net"],
  policy: ["ffi", "import", "net", "run"],
  autostart: ["ffi", "import", "net"],
  modules: ["ffi", "import", "net"],
  // net asks the agent and the ports of this computer alone
  doctor: ["ffi", "import"],
  support: ["ffi", "import"],
  // net fetches the manifest alone
  update: ["ffi", "import", "run"],
  // run starts the drivers' processes
  "otp-service": ["ffi", "import"],
  openrpc: ["ffi", "import", "net", "run", "write"],
};

/** The command's name, or what stands in its place; `--json` may come before it. Without one it is undefined. */
export function commandOf(args: readonly string[]): string | undefined {
  return args.find((arg) => arg !== "--json");
}

/** The role that the arguments ask for; help, version and mistakes need no more than `openrpc` does. */
export function roleOf(args: readonly string[]): string {
  // `dsign` and `dsign --json` are the agent with its console
  const first = commandOf(args) ?? "agent";
  const isOnline = args.some((arg) => /^--(level(=|$)|remote$)/.test(arg));
  if (isOnline && (first === "sign" || first === "tokens")) return `${first} online`;
  return Object.hasOwn(DOES_WITHOUT, first) ? first : "openrpc";
}

/** Gives up for good what the role does without, so that a mistake in it, or in what it loads, can do less harm. */
export function giveUpPermissions(role: string): void {
  for (const name of DOES_WITHOUT[role]) Deno.permissions.revokeSync({ name });
}
