/** Grants that the person gave to web origins, in one file of the state folder. */
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";
import { Scope } from "../protocol/methods.ts";
import { writeAtomically } from "../settings/files.ts";

/** How long a grant lasts. */
const GRANT_DURATION_DAYS = 365;

const Grant = z.strictObject({
  scopes: z.array(Scope),
  grantedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  /** The certificate the person chose for this origin. */
  certificate: z.string().optional(),
});
export type Grant = z.infer<typeof Grant>;

/** A grant, or its like by the administrator. */
export interface Standing extends Omit<Grant, "grantedAt"> {
  /** When the person first gave it a permission; null if only the administrator did. */
  grantedAt: string | null;
}

const Grants = z.record(z.string(), Grant);

/** When grants end, in milliseconds: a text takes longer to read than all else that is asked of a grant. */
const ends = new WeakMap<Grant, number>();
const endOf = (grant: Grant) => ends.getOrInsertComputed(grant, () => Date.parse(grant.expiresAt));

/** An administrator's grant does not expire. */
const NEVER = "9999-12-31T23:59:59Z";

/** A permission from the configuration, without asking anybody. */
export interface AllowedOrigin {
  origin: string;
  scopes: Scope[];
}

export class Origins {
  #grants: Map<string, Grant>;
  #saving: Promise<void> = Promise.resolve();

  private constructor(
    readonly path: string,
    grants: Record<string, Grant>,
    readonly allowed: readonly AllowedOrigin[],
    readonly now: () => Date,
    readonly others: "ask" | "refuse",
  ) {
    this.#grants = new Map(Object.entries(grants));
  }

  /**
   * Reads the grants. A file that cannot be understood stops the start, rather than be overwritten or trusted by halves.
   *
   * @param others whether the person can be asked for sites that are not in `allowed`; where not, what the person
   * granted them before does not hold either
   * @throws {DsignError} `storage_failed`
   */
  static async load(
    path: string,
    allowed: readonly AllowedOrigin[],
    now: () => Date,
    others: "ask" | "refuse" = "ask",
  ): Promise<Origins> {
    let text = "{}";
    try {
      text = await Deno.readTextFile(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw unusable(path, error);
    }
    try {
      return new Origins(path, Grants.parse(JSON.parse(text)), allowed, now, others);
    } catch (error) {
      throw unusable(path, error);
    }
  }

  /** Whether the administrator lets the person decide about this origin. */
  mayBeGranted(origin: string): boolean {
    return this.others === "ask" || this.allowed.some((entry) => entry.origin === origin);
  }

  /** An origin's present permissions. */
  get(origin: string): Standing | undefined {
    if (!this.mayBeGranted(origin)) return undefined;
    const byPerson = this.#grants.get(origin);
    const valid = byPerson && endOf(byPerson) > this.now().getTime() ? byPerson : undefined;
    const byAdministrator = this.allowed.find((entry) => entry.origin === origin);
    if (!byAdministrator) return valid;
    return {
      scopes: [...new Set([...byAdministrator.scopes, ...valid?.scopes ?? []])],
      grantedAt: valid?.scopes.length ? valid.grantedAt : null,
      expiresAt: NEVER,
      certificate: byPerson?.certificate,
    };
  }

  /** The grant after consent: present and requested permissions, for a year from now. */
  proposal(origin: string, scopes: readonly Scope[]): Grant {
    const now = this.now();
    const expires = new Date(now);
    expires.setUTCDate(expires.getUTCDate() + GRANT_DURATION_DAYS);
    const known = this.get(origin);
    return {
      scopes: Scope.options.filter((scope) =>
        scopes.includes(scope) || known?.scopes.includes(scope)
      ),
      grantedAt: known?.grantedAt ?? now.toISOString(),
      expiresAt: expires.toISOString(),
      certificate: known?.certificate,
    };
  }

  /** Keeps a grant. Rejects with `storage_failed`; the grant then does not hold either. */
  async set(origin: string, grant: Grant): Promise<void> {
    const before = this.#grants.get(origin);
    this.#grants.set(origin, grant);
    try {
      await this.#save();
    } catch (error) {
      if (before) this.#grants.set(origin, before);
      else this.#grants.delete(origin);
      throw error;
    }
  }

  /** Remembers the person's choice for an origin that has a grant of the person's. */
  async remember(origin: string, certificate: string): Promise<void> {
    const grant = this.#grants.get(origin) ??
      (this.get(origin) && { ...this.proposal(origin, []), scopes: [] });
    if (grant && grant.certificate !== certificate) {
      await this.set(origin, { ...grant, certificate });
    }
  }

  /** Every site that may do something now. */
  list(): (Pick<Standing, "scopes" | "grantedAt"> & {
    origin: string;
    expiresAt: string | null;
  })[] {
    const origins = new Set([...this.allowed.map(({ origin }) => origin), ...this.#grants.keys()]);
    return [...origins].sort().flatMap((origin) => {
      const standing = this.get(origin);
      if (!standing?.scopes.length) return [];
      const { scopes, grantedAt, expiresAt } = standing;
      return [{ origin, scopes, grantedAt, expiresAt: expiresAt === NEVER ? null : expiresAt }];
    });
  }

  /** Removes the person's grant; the administrator's stays. Rejects with `storage_failed`. */
  async revoke(origin: string): Promise<void> {
    const grant = this.#grants.get(origin);
    if (!grant) return;
    this.#grants.delete(origin);
    try {
      await this.#save();
    } catch (error) {
      this.#grants.set(origin, grant);
      throw error;
    }
  }

  /** One write after the other, each of the whole file. */
  #save(): Promise<void> {
    const save = this.#saving.then(() =>
      writeAtomically(this.path, JSON.stringify(Object.fromEntries(this.#grants), null, 2) + "\n")
    );
    this.#saving = save.catch(() => {});
    return save;
  }
}

function unusable(path: string, cause: unknown): DsignError {
  return new DsignError(
    "storage_failed",
    `The file of allowed sites ${path} cannot be read. Repair it, or delete it to ask again for each site.`,
    { cause: String(cause) },
  );
}

/**
 * Whether a header value is a web origin as browsers serialise it (RFC 6454 §6.2): https, or http from this computer
 * itself. Anything that is not exactly its own serialisation is refused: upper case, paths, default ports, `null`.
 */
export function isWebOrigin(value: string): boolean {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return false;
  }
  if (url.origin !== value) return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLocalHost(url.hostname);
}

/** Whether a host name as in a URL leads to this computer. */
export const isLocalHost = (hostname: string) =>
  hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "127.0.0.1" ||
  hostname === "[::1]";
