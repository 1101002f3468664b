/** Services of the system through which drivers reach tokens. Without one, a driver fails or finds nothing. */
import { basename } from "node:path";

interface Service {
  /** Its program. */
  name: string;
  /** The command that starts it where systemd has it. */
  start: string;
  /** Where drivers reach it; null if that cannot be told. */
  socket(env: (name: string) => string | undefined): string | null;
  /** A driver that needs it has this text in its library… */
  marker: string;
  /** … or in one that it loads, and then is known by its file name. */
  drivers?: RegExp;
}

const SERVICES: readonly Service[] = [
  {
    name: "pcscd",
    start: "sudo systemctl enable --now pcscd.socket",
    socket: (env) => env("PCSCLITE_CSOCK_NAME") ?? "/run/pcscd/pcscd.comm",
    marker: "libpcsclite.so",
    drivers: /^(onepin-)?opensc-pkcs11\.so|^libykcs11\.so/,
  },
  {
    name: "pkcsslotd",
    start: "sudo systemctl enable --now pkcsslotd",
    socket: () => "/run/pkcsslotd.socket",
    marker: "pkcsslotd.socket",
  },
  {
    name: "p11-kit server",
    start: "systemctl --user enable --now p11-kit-server.socket",
    socket(env) {
      const address = env("P11_KIT_SERVER_ADDRESS");
      const folder = env("XDG_RUNTIME_DIR");
      if (address === undefined) return folder ? `${folder}/p11-kit/pkcs11` : null;
      return address.startsWith("unix:path=") ? address.slice("unix:path=".length) : null;
    },
    marker: "P11_KIT_SERVER_ADDRESS",
  },
];

/** Larger libraries are not searched. */
const MAX_LIBRARY = 64 * 1024 * 1024;

/**
 * The service that a driver needs and that does not run. Known for Linux only: elsewhere the system itself has it.
 *
 * @param library path of the driver
 * @returns null also if that cannot be told
 */
export async function stoppedService(
  library: string,
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): Promise<Pick<Service, "name" | "start"> | null> {
  if (Deno.build.os !== "linux") return null;
  try {
    const path = await Deno.realPath(library);
    if ((await Deno.stat(path)).size > MAX_LIBRARY) return null;
    const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
    const needed = SERVICES.find(({ marker, drivers }) =>
      drivers?.test(basename(path)) || text.includes(marker)
    );
    const socket = needed?.socket(env);
    return needed && socket && !await exists(socket) ? needed : null;
  } catch {
    return null; // The driver's failure is told all the same.
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
