/** Files for a container, or one container for another signature. */
import { FormatError } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import type { ContainerInput } from "./container.ts";

/** Of all files together: a container is made in memory. */
const MAX_SIZE = 64 * 1024 * 1024;
/** EN 319 162-1 §A.1: the type stands at this place of every container, before anything is read. */
const TYPE_AT = 30;

/**
 * One file that is a container itself gets one more signature; anything else goes into a new one.
 *
 * @throws {FormatError} `limit_exceeded`
 */
export function containerInput(
  files: readonly { name: string; mediaType: string; source: Source }[],
): ContainerInput {
  if (files.reduce((sum, { source }) => sum + source.size, 0) > MAX_SIZE) {
    throw new FormatError("limit_exceeded", "The files are too large for a container (64 MiB).");
  }
  const read = files.map(({ name, mediaType, source }) => ({
    name,
    mediaType,
    bytes: source.read(0, source.size).slice(),
  }));
  const [{ bytes }] = read;
  const isContainer = read.length === 1 &&
    new TextDecoder("latin1").decode(bytes.subarray(TYPE_AT, TYPE_AT + 64))
      .startsWith("mimetypeapplication/vnd.etsi.asic-");
  return isContainer ? { container: bytes } : { files: read };
}
