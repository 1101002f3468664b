/** The console's requests about the key files that the person added: D-Sign keeps copies in a folder of the person. */
import { join } from "node:path";
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";
import type { KeyFileReader } from "../signers/pkcs12.ts";
import { namesOfKeyFiles } from "../signers/key_folder.ts";
import { replaceFile } from "../settings/files.ts";
import { toDsignError } from "../signing/errors.ts";
import { json, read } from "./first_start.ts";

/** Of a key file, in Base64. */
const MAX_FILE = 1500 * 1024;

/** A name that is one on every system, and hides nothing. */
const name = z.string().regex(/^(?!\.)[^\\/:*?"<>|\p{Cc}\p{Cf}]{1,100}\.(p12|pfx)$/iu);
const AddRequest = z.strictObject({ name, file: z.base64() });
const RenameRequest = z.strictObject({ name, to: name });
const RemoveRequest = z.strictObject({ name });

export class KeyFiles {
  constructor(readonly folder: string, readonly reader: KeyFileReader) {}

  /**
   * @throws {DsignError} `key_file_unreadable`, `key_file_unsupported`, `too_large`; `invalid_params` also for a name that
   *   is taken; `storage_failed`
   */
  async respond(request: Request, path: string): Promise<Response> {
    switch (path) {
      case "/console/key-files":
        return json(await namesOfKeyFiles(this.folder));
      case "/console/key-files/add": {
        const { name, file } = await read(request, AddRequest, MAX_FILE);
        const bytes = Uint8Array.fromBase64(file);
        // Loaded on demand, to keep an idle agent small.
        const { checkKeyFile } = await import("../signers/pkcs12.ts");
        await checkKeyFile(bytes, this.reader).catch((error) => {
          throw toDsignError(error);
        });
        await this.#refuseTaken(name);
        await this.#change(async () => {
          await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
          await replaceFile(join(this.folder, name), bytes, 0o600);
        });
        return json({});
      }
      case "/console/key-files/rename": {
        const { name, to } = await read(request, RenameRequest);
        await this.#refuseTaken(to);
        await this.#change(() => Deno.rename(join(this.folder, name), join(this.folder, to)));
        return json({});
      }
      case "/console/key-files/remove": {
        const { name } = await read(request, RemoveRequest);
        await this.#change(() => Deno.remove(join(this.folder, name)));
        return json({});
      }
    }
    return json({}, 404);
  }

  async #refuseTaken(name: string): Promise<void> {
    const names = await namesOfKeyFiles(this.folder);
    if (names.some((each) => each.toLowerCase() === name.toLowerCase())) {
      throw new DsignError("invalid_params", "There is a key file of this name already.");
    }
  }

  async #change(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw new DsignError("storage_failed", undefined, { cause: String(error) });
    }
  }
}
