/** The core of the package: everything but the popup, other languages and frameworks. */
import type { ErrorCode, TriesLeft } from "../../protocol/errors.ts";
import type { MethodName, Params, Result, Scope, Status } from "../../protocol/methods.ts";
import type { Agent } from "./channel.ts";

export { Client } from "./client.ts";
export type {
  BatchFile,
  BatchOptions,
  BatchOutcome,
  BatchResult,
  DetachedBatchOutcome,
} from "./batch.ts";
export type {
  CallOptions,
  DetachedSignature,
  Progress,
  SignedContainer,
  SignedPdf,
} from "./calls.ts";
export type { ClientEvent } from "./client.ts";
export { acceptNewAgent, connect, PORTS, PROTOCOL, SECURE_PORTS } from "./connect.ts";
export type { ConnectOptions } from "./connect.ts";
export { DsignClientError } from "./errors.ts";
export type { ConnectionCode, Messages } from "./errors.ts";
export type { Agent, ErrorCode, MethodName, Params, Result, Scope, Status, TriesLeft };
