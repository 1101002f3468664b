/** Where a sealed line stands, and its receipt. */
import { formatReceipt } from "../formats/log/checkpoint.ts";
import { inclusionProof, type ReadHash } from "../formats/log/tree.ts";
import type { Row } from "./database.ts";
import type { Head } from "./log_rows.ts";

/** A sealed line. */
export interface Place {
  index: number;
  receipt(): Promise<string>;
}

/** @param read the hashes of the head's tree */
export function placeOf(read: ReadHash, head: Head, row: Row): Place {
  const [line, index] = [row.line as string, (row.seq as number) - 1];
  return { index, receipt: () => receiptOf(read, { line, index, head }) };
}

export async function receiptOf(
  read: ReadHash,
  { line, index, head }: { line: string; index: number; head: Head },
): Promise<string> {
  const proof = await inclusionProof(read, index, head.seq);
  return formatReceipt({ line, index, proof, checkpoint: head.note! });
}
