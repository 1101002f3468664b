/** Signatures over data that came with the request. */
import { bytesSource } from "../formats/source.ts";
import type { Result } from "../protocol/methods.ts";
import { isPostQuantum } from "./certificates.ts";
import { Content, plain } from "./content.ts";
import type { DataHow } from "./data.ts";
import { signedWith } from "./key_access.ts";
import { makeByReader, signNew } from "./make.ts";
import { isNew } from "./new_signature.ts";
import { acceptsFor } from "./post_quantum.ts";
import { showOnly } from "./shown_pdf.ts";
import { sign } from "./signature.ts";
import { askingFor, networkFor, readFor, type SigningContext, trustOf } from "./signing_context.ts";
import { isOver } from "./to_be_signed.ts";
import type { Caller } from "./unlock.ts";

/** Signs data that came with the request. */
export async function signData(
  signing: SigningContext,
  content: Content,
  how: DataHow,
  caller: Caller,
): Promise<Result<"sign.data">> {
  const { reader } = signing.services;
  const data = { how, content: plain(content) };
  const signedBy = how.format === "raw" || isNew(how)
    ? []
    : await reader.ask("checkData", { ...data, trust: await trustOf(signing) }, askingFor(caller));
  const item = content.item(how.name ?? "", how.hash ?? "SHA-256");
  // A bare signature over a text may be one under another document, whose signed attributes, SignedInfo or JWS
  // signing input the text is. The person at the command line has named the file.
  const blind = caller.asker.origin !== null && how.format === "raw";
  return await signing.keys.use(
    {
      ...how,
      format: nameOfFormat(how),
      ...how.format !== "raw" && networkFor(signing, how.level),
      items: [signedBy.length > 0 ? { ...item, signedBy } : item],
      blind,
      accepts: acceptsFor(how, content.bytes.length),
      ...item.pdf && { show: showOnly(bytesSource(content.bytes), readFor(signing, caller)) },
    },
    caller,
    async (lease) => {
      const { hash } = lease.signer.algorithm;
      const signature = how.format === "raw"
        ? await sign(
          lease,
          isPostQuantum(lease.signer.certificate)
            ? { message: content.bytes }
            : { digest: content.digest(hash) },
          caller.signal,
        )
        : isNew(how)
        ? await signNew(signing, how, content, lease, caller)
        : await makeByReader(
          signing,
          (by, asking) => reader.ask("signData", { ...data, how, ...by }, asking),
          {
            lease,
            caller,
            isOurs: (bytes, by) => isOver(bytes, how, content, by),
          },
        );
      return {
        signature: signature.toBase64(),
        content: content.bytes.toBase64(),
        ...signedWith(lease.signer),
      };
    },
  );
}

/** For the audit log. */
function nameOfFormat(how: DataHow): string {
  const names = { cades: "CAdES", xades: "XAdES", xmldsig: "XMLDSIG", jws: "JAdES", raw: "raw" };
  const level = how.format === "raw" || how.format === "xmldsig" ? "" : ` ${how.level}`;
  const beside = "countersign" in how
    ? ", countersignature"
    : "cosign" in how && how.cosign
    ? ", co-signature"
    : "";
  return names[how.format] + level + beside;
}
