/** Where a sealed line stands, and its receipt. */
import { formatReceipt } from "../formats/log/checkpoint.ts";
import { inclusionProof, type ReadHash } from "../formats/log/tree.ts";
import type { Head } from "./log_rows.ts";

/** A place in the log. */
export interface Place {
  /** The receipt of the line that stands there. */
  receipt(line: string): Promise<string>;
}

/**
 * @param read the hashes of the head's tree
 * @param seq number of a line, from 1 on
 */
export const placeOf = (read: ReadHash, head: Head, seq: number): Place => ({
  async receipt(line) {
    const index = seq - 1;
    const proof = await inclusionProof(read, index, head.seq);
    return formatReceipt({ line, index, proof, checkpoint: head.note! });
  },
});
