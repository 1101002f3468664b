/** What every kind of signature is made with. */
import type { Certificate } from "../formats/x509/certificate.ts";
import type { Level } from "../online/pades.ts";
import type { Journals } from "./journal.ts";
import type { KeyAccess, KeyServices } from "./key_access.ts";
import type { PadesServices } from "./pades.ts";
import type { Trust } from "./proven.ts";
import type { DocumentReader } from "./reading.ts";
import type { ReadFor } from "./shown_pdf.ts";
import type { Tokens } from "./tokens.ts";
import type { Caller, Wanted } from "./unlock.ts";

/** Further parts of signing. */
export interface SigningServices extends PadesServices, KeyServices {
  journals: Journals;
  reader: DocumentReader;
  /** The root certificates that are trusted; asked for each time, as their folders may be filled meanwhile. */
  anchors: () => Promise<readonly Certificate[]>;
}

/** Where signatures are made. */
export interface SigningContext {
  readonly tokens: Tokens;
  readonly keys: KeyAccess;
  readonly services: SigningServices;
}

/** For the person: who is asked for the level. */
export function networkFor({ services }: SigningContext, level: Level): Pick<Wanted, "network"> {
  if (level === "B-B") return {};
  const { timestampAuthority } = services.online.options;
  const host = timestampAuthority ? new URL(timestampAuthority).host : null;
  return { network: { level, timestampAuthority: host } };
}

/** What signatures of others are judged by. */
export async function trustOf({ services, tokens }: SigningContext): Promise<Trust> {
  const anchors = await services.anchors();
  return { anchors: anchors.map(({ der }) => der), now: tokens.now().toISOString() };
}

/** For whom a PDF is read that is shown. */
export function readFor(
  signing: SigningContext,
  { asker: { origin } }: Caller,
  password?: string,
): ReadFor {
  return {
    reader: signing.services.reader,
    origin: origin ?? undefined,
    password,
    trust: () => trustOf(signing),
  };
}

/** For whom documents are read, and until when. */
export const askingFor = ({ asker: { origin }, signal }: Caller) => ({
  origin: origin ?? undefined,
  signal,
});
