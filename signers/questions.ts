/** Questions about key files; a reader answers them, `alone` where a password goes with them (AskOptions). */
import { FormatError } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import { readCertificates } from "../formats/x509/bundle.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { type Pkcs12Contents, publicCertificates, readPkcs12 } from "./pkcs12_read.ts";
import { SignerError } from "./provider.ts";
import { softwareKey } from "./software_key.ts";

const whole = (file: Source) => file.read(0, file.size);

/** What a key file holds. The password is wiped. */
function unlocked(file: Source, password: Uint8Array): Pkcs12Contents {
  try {
    return readPkcs12(whole(file), password);
  } finally {
    password.fill(0);
  }
}

export const questions = {
  /** The certificates, DER, that a key file shows without its password, or else those in the file beside it, if there is one. */
  shownCertificates(_: null, [file, beside]: Source[]): Uint8Array[] {
    const shown = publicCertificates(whole(file));
    return shown.length > 0 || !beside ? shown : readCertificates(whole(beside));
  },

  /** Those that it shows with its password (UTF-8). */
  hiddenCertificates({ password }: { password: Uint8Array }, [file]: Source[]): Uint8Array[] {
    const { keys, certificates } = unlocked(file, password);
    for (const key of keys) key.fill(0);
    return certificates;
  },

  /** The private key of a certificate: PKCS #8, DER. */
  async privateKey(
    { password, certificate }: { password: Uint8Array; certificate: Uint8Array },
    [file]: Source[],
  ): Promise<Uint8Array> {
    const { publicKey } = readCertificate(certificate);
    const { keys } = unlocked(file, password);
    let failure = new SignerError("key_not_found", "The file holds no key for this certificate.");
    let found: Uint8Array | undefined;
    for (const bytes of keys) {
      try {
        const key = await softwareKey(bytes);
        if (!found && key.fits(publicKey.bytes)) found = bytes;
        key.wipe();
      } catch (error) {
        if (error instanceof SignerError) failure = error;
        else if (!(error instanceof FormatError)) throw error;
      }
    }
    for (const bytes of keys) if (bytes !== found) bytes.fill(0);
    if (!found) throw failure;
    return found;
  },
};
