/** The levels of signatures above B-B: what they ask of the network, as the service is configured. */
import type { ValidationData } from "../formats/pades/dss.ts";
import type { Asking, Level, LevelServices, ValidatedLater } from "../online/pades.ts";
import { requestTimestamp } from "../online/timestamp.ts";
import type { ServiceReader } from "./reading.ts";

export interface LevelOptions {
  /** Reads PDFs, and what time-stamping services answer. */
  reader: ServiceReader;
  /** Address of a timestamp authority (RFC 3161). */
  tsa?: string;
  /**
   * Collects what a later validation of a signature and its timestamp needs, checked to suffice today.
   *
   * @throws {OnlineError} `validation_data_unavailable`, `certificate_revoked`
   */
  validationData(of: ValidatedLater, asking: Pick<Asking, "origin">): Promise<ValidationData>;
}

/** `AdES-B-T` → `B-T` */
export const levelOf = (conformance: string): Level => conformance.slice("AdES-".length) as Level;

/** Whether signatures of a `conformance_level` contain a timestamp. */
export const isTimestamped = (conformance: string): boolean => levelOf(conformance) !== "B-B";

/** Source of timestamps and validation data. */
export const levelServices = ({ reader, tsa, validationData }: LevelOptions): LevelServices => ({
  timestamp: (hash, digest, { origin }) => requestTimestamp(reader, tsa!, hash, digest, { origin }),
  validationData,
});
