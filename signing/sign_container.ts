/** Signatures in a container (ASiC). */
import type { HashName } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import type { ContainerHow, ContainerInput } from "./container.ts";
import { Content } from "./content.ts";
import { signedWith } from "./key_access.ts";
import { makeByReader } from "./make.ts";
import { acceptsFor } from "./post_quantum.ts";
import { shownPdf } from "./shown_pdf.ts";
import { askingFor, networkFor, readFor, type SigningContext, trustOf } from "./signing_context.ts";
import { isOverFiles } from "./to_be_signed.ts";
import type { Caller } from "./unlock.ts";

/**
 * Signs all files of a container (ASiC), new or with signatures of others.
 *
 * @returns the container
 */
export async function signContainer(
  signing: SigningContext,
  input: ContainerInput,
  { kind, format, level, certificate, hash }: ContainerHow & {
    certificate?: string;
    hash?: HashName;
  },
  caller: Caller,
): Promise<{ container: Uint8Array; certificate: string; algorithm: string }> {
  const { reader } = signing.services;
  const how = { kind, format, level };
  const mediaTypes = new Map(
    "files" in input ? input.files.map(({ name, mediaType }) => [name, mediaType]) : [],
  );
  const asking = askingFor(caller);
  const { files, signature } = await reader.ask("checkContainer", {
    how,
    input,
    trust: await trustOf(signing),
    now: signing.tokens.now().toISOString(),
  }, asking);
  const contents = files.map(({ name, bytes, signedBy }) => {
    const mediaType = mediaTypes.get(name) ?? "application/octet-stream";
    return { name, content: new Content(bytes, mediaType), signedBy };
  });
  const items = contents.map(({ name, content, signedBy }) => {
    const item = content.item(name, hash ?? "SHA-256");
    return signedBy.length > 0 ? { ...item, signedBy } : item;
  });
  const by = readFor(signing, caller);
  return await signing.keys.use(
    {
      certificate,
      hash,
      format: `${how.kind === "asic-s" ? "ASiC-S" : "ASiC-E"} ${how.format} ${how.level}`,
      items,
      ...networkFor(signing, how.level),
      blind: false,
      accepts: acceptsFor(how, 0),
      show: (item) => Promise.resolve(shownPdf(bytesSource(contents[item].content.bytes), by)),
    },
    caller,
    async (lease) => {
      const container = await makeByReader(
        signing,
        (by, asking) =>
          reader.ask("signContainer", { how, input, mediaTypes: [...mediaTypes], ...by }, asking),
        {
          lease,
          caller,
          isOurs: (bytes, by) => isOverFiles(bytes, how, contents, signature, by),
        },
      );
      return { container, ...signedWith(lease.signer) };
    },
  );
}
